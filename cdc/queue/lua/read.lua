-- Reads the next entries of a lane, bounded by count and by bytes (XREAD knows only a count: some large rows in a row would
-- take any amount of memory).
--
-- KEYS[1]  {name}:lane:<lane>  stream
-- KEYS[2]  {name}:acks         hash: /lane -> the id up to which the lane was trimmed
-- ARGV[1]  lane
-- ARGV[2]  entry id after which to read ("0-0": from the beginning)
-- ARGV[3]  most entries
-- ARGV[4]  most bytes of values; one larger entry still comes alone
--
-- Returns {trimmed up to ("0-0": never), id, key, value, id, key, value, …}; key "" = none. An entry that is not one of
-- ours has "" as its value.

local most, bytes = tonumber(ARGV[3]), tonumber(ARGV[4])
local reply = {redis.call('HGET', KEYS[2], '/' .. ARGV[1]) or '0-0'}
local last, taken, step = ARGV[2], 0, 1

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
  last = entries[#entries][1]
  -- What is fetched and then left out stays small against what was taken.
  step = math.min(16, step * 2)
end
return reply
