-- How long a lane is, and between which ids; the entries themselves, which may be large, stay at the server.
--
-- KEYS[1]  {name}:lane:<lane>  stream
--
-- Returns {length, first id, last id}; {0, "0-0", "0-0"} for one that is empty or does not exist.

local first = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)
if #first == 0 then
  return {0, '0-0', '0-0'}
end
return {redis.call('XLEN', KEYS[1]), first[1][1], last[1][1]}
