-- Reads several leases at one moment.
--
-- KEYS[i]  {connector}:lease:<resource>  "<token> <lease ms> <owner>"
-- Returns  a list with, for each key, {token, owner, milliseconds left}, or {} where nobody holds it

local found = {}
for index, key in ipairs(KEYS) do
  local token, owner = string.match(redis.call('GET', key) or '', '^(%d+) %d+ (.*)$')
  found[index] = token and {token, owner, redis.call('PTTL', key)} or {}
end
return found
