-- Shows that scripts run and may write, and what the server says about itself.
--
-- KEYS[1]  {connector}:check  gone after a millisecond
-- Returns  INFO's sections server, memory, persistence and replication, as one text each

redis.call('SET', KEYS[1], '1', 'PX', 1)
local sections = {}
for index, name in ipairs({'server', 'memory', 'persistence', 'replication'}) do
  sections[index] = redis.call('INFO', name)
end
return sections
