-- Grants a lease with a new fencing token, or says that another owner holds it.
--
-- KEYS[1]  {connector}:lease:<resource>     "<token> <lease ms> <owner>"; expires with the lease
-- KEYS[2]  {connector}:token:<resource>     the highest token granted; never expires
-- KEYS[3]  {connector}:resources            set of all resources that ever had a lease
-- KEYS[4]  {connector}:handover:<resource>  somebody asks the holder to end; dropped with a new token
-- ARGV[1]  owner
-- ARGV[2]  lease, milliseconds (> 0)
-- ARGV[3]  floor: the token must be above it
-- ARGV[4]  resource
-- Returns  the token, or 0 where another owner holds the lease
--
-- Numbers are below 2^53 and written with %.0f: Lua's own rendering turns 1e14 and above into exponents.

local lease_ms = tonumber(ARGV[2])
local highest = tonumber(ARGV[3])

local held = redis.call('GET', KEYS[1])
if held then
  local token, held_ms, owner = string.match(held, '^(%d+) (%d+) (.*)$')
  token = tonumber(token)
  if owner ~= ARGV[1] then
    -- The server's wall clock was set back: the lease would outlive its length by as much.
    if redis.call('PTTL', KEYS[1]) > tonumber(held_ms) then
      redis.call('PEXPIRE', KEYS[1], held_ms)
    end
    return 0
  end
  if token > highest then
    -- The owner asks again: its first answer was lost.
    redis.call('SET', KEYS[1], string.format('%.0f %.0f %s', token, lease_ms, owner), 'PX', lease_ms)
    return token
  end
  highest = math.max(highest, token)
end

highest = math.max(highest, tonumber(redis.call('GET', KEYS[2]) or '0'))
local token = highest + 1
redis.call('SET', KEYS[2], string.format('%.0f', token))
redis.call('SET', KEYS[1], string.format('%.0f %.0f %s', token, lease_ms, ARGV[1]), 'PX', lease_ms)
redis.call('SADD', KEYS[3], ARGV[4])
redis.call('DEL', KEYS[4])
return token
