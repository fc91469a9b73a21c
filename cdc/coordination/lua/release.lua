-- Frees a lease that is still held with this owner and token; else does nothing.
--
-- KEYS[1]  {connector}:lease:<resource>  "<token> <lease ms> <owner>"
-- ARGV[1]  owner
-- ARGV[2]  token
-- Returns  1 where it was freed, else 0

local token, owner = string.match(redis.call('GET', KEYS[1]) or '', '^(%d+) %d+ (.*)$')
if token ~= ARGV[2] or owner ~= ARGV[1] then
  return 0
end
return redis.call('DEL', KEYS[1])
