-- Prolongs a lease that is still held with this owner and token. Never acquires.
--
-- KEYS[1]  {connector}:lease:<resource>  "<token> <lease ms> <owner>"
-- ARGV[1]  owner
-- ARGV[2]  token
-- ARGV[3]  lease, milliseconds (> 0)
-- Returns  1, or 0 where it is not held with this owner and token

local token, owner = string.match(redis.call('GET', KEYS[1]) or '', '^(%d+) %d+ (.*)$')
if token ~= ARGV[2] or owner ~= ARGV[1] then
  return 0
end
redis.call('SET', KEYS[1], token .. ' ' .. ARGV[3] .. ' ' .. owner, 'PX', ARGV[3])
return 1
