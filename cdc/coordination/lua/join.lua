-- Says that a member lives on, drops those whose time is over, and lists the living.
--
-- KEYS[1]  {connector}:members:<group>  hash: member -> "<end, server's milliseconds> <length ms>"
-- ARGV[1]  member
-- ARGV[2]  length of its life from now, milliseconds (> 0)
-- Returns  a flat list: member, milliseconds left, member, milliseconds left, …
--
-- The time is the server's, at this one moment; no member's own clock counts. Where it was set back, no life becomes
-- longer than its length.

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local function write(member, left, length)
  redis.call('HSET', KEYS[1], member, string.format('%.0f %.0f', now + left, length))
end

write(ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[2]))
local living, longest = {}, 0
local all = redis.call('HGETALL', KEYS[1])
for index = 1, #all, 2 do
  local member = all[index]
  local ends, length = string.match(all[index + 1], '^(%d+) (%d+)$')
  local left = tonumber(ends) - now
  if left > tonumber(length) then
    left = tonumber(length)
    write(member, left, left)
  end
  if left <= 0 then
    redis.call('HDEL', KEYS[1], member)
  else
    living[#living + 1] = member
    living[#living + 1] = left
    longest = math.max(longest, left)
  end
end
redis.call('PEXPIRE', KEYS[1], longest)
return living
