-- Reads the next entries of a lane, bounded by count and by bytes (XRANGE knows only a count: some large rows in a row would
-- take any amount of memory). Of many entries it only tells how they are bounded: a plain XRANGE, which costs a fifth, can then
-- be asked for them.
--
-- KEYS[1]  {name}:lane:<lane>  stream
-- KEYS[2]  {name}:acks         hash: /lane -> the id up to which the lane was trimmed
-- KEYS[3]  {name}:epoch        hash: the stream's key -> the bytes of its largest entry, at least (see publish.lua)
-- ARGV[1]  lane
-- ARGV[2]  entry id after which to read ("0-0": from the beginning)
-- ARGV[3]  most entries
-- ARGV[4]  most bytes of values; one larger entry still comes alone
-- ARGV[5]  how many entries are many; 0: never
--
-- Returns {trimmed up to ("0-0": never), last id of the stream, bytes of the largest entry up to it, id, key, value, id, …};
-- key "" = none. An entry that is not one of ours has "" as its value. There is a last id only where there are more than many
-- entries, and a quarter of the most has twice the bytes at most; then no entries are given. Else it is "", and the bytes are 0.

local most, bytes, many = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local trimmed = redis.call('HGET', KEYS[2], '/' .. ARGV[1]) or '0-0'
local reply = {trimmed, '', 0}
local last, taken, step = ARGV[2], 0, 1

local largest = many > 0 and tonumber(redis.call('HGET', KEYS[3], KEYS[1]) or 0) or 0
if largest == 0 or largest * most > 8 * bytes then many = most end

while taken < most do
  local entries = redis.call('XRANGE', KEYS[1], '(' .. last, '+', 'COUNT', math.min(step, most - taken))
  for _, entry in ipairs(entries) do
    local key, value = '', ''
    for field = 1, #entry[2], 2 do
      if entry[2][field] == 'k' then key = entry[2][field + 1] end
      if entry[2][field] == 'v' then value = entry[2][field + 1] end
    end
    bytes = bytes - #value
    if bytes < 0 and taken > 0 then return reply end
    reply[#reply + 1] = entry[1]
    reply[#reply + 1] = key
    reply[#reply + 1] = value
    taken = taken + 1
  end
  if #entries < step or bytes <= 0 then return reply end
  if taken >= many and taken < most then
    local newest = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)
    return {trimmed, newest[1][1], largest}
  end
  last = entries[#entries][1]
  -- What is fetched and then left out stays small against what was taken.
  step = math.min(16, step * 2)
end
return reply
