-- Notes how far a sink has committed a lane, and trims what every configured sink has committed.
--
-- KEYS[1]  {name}:acks         hash: sink/lane -> entry id; /lane -> the id up to which the lane was trimmed
-- KEYS[2]  {name}:lane:<lane>  stream
-- ARGV[1]  lane
-- ARGV[2]  the sink that acks
-- ARGV[3]  entry id up to which it has committed ("0-0": nothing)
-- ARGV[4…] all configured sinks
--
-- Returns the number of entries removed.
-- The ack last told is the one that counts, also where it is lower: a target that was restored needs its entries again.

local lane = ARGV[1]

local function parts(id)
  local token, number = string.match(id, '^(%d+)-(%d+)$')
  return tonumber(token), tonumber(number)
end

local function before(one, other)
  local token_one, number_one = parts(one)
  local token_other, number_other = parts(other)
  return token_one < token_other or (token_one == token_other and number_one < number_other)
end

local lowest
for sink = 4, #ARGV do
  local id = ARGV[3]
  if ARGV[sink] ~= ARGV[2] then
    id = redis.call('HGET', KEYS[1], ARGV[sink] .. '/' .. lane) or '0-0'
  end
  if not lowest or before(id, lowest) then lowest = id end
end

-- XTRIM comes first, even where it removes nothing: a script that has written is let through to HSET when Redis is out of
-- memory, which is just when trimming must go on.
local token, number = parts(lowest)
local first_kept = string.format('%d-%d', token, number + 1)
local removed = redis.call('XTRIM', KEYS[2], 'MINID', '=', first_kept)
redis.call('HSET', KEYS[1], ARGV[2] .. '/' .. lane, ARGV[3])
if removed > 0 then
  redis.call('HSET', KEYS[1], '/' .. lane, lowest)
end
return removed
