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
-- Returns {trimmed up to ("0-0": never), last id of the stream, bytes of the largest entry up to it, rows of the first one, id, key,
-- value, id, …}; key "" = none. An entry that is not one of ours has "" as its value. A bundle (see cdc.model.bundle) counts as its
-- rows; one of more than the most still comes alone.
-- There is a last id only where there are more than many entries, and a quarter of the most has twice the bytes at most, or where the
-- first is a bundle, and SOME entries have twice the bytes at most; then no entries are given. Else it is "", and the numbers are 0.

local SOME = 16
local most, bytes, many = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local trimmed = redis.call('HGET', KEYS[2], '/' .. ARGV[1]) or '0-0'
local reply = {trimmed, '', 0, 0}
local last, taken, step = ARGV[2], 0, 1

local largest = many > 0 and tonumber(redis.call('HGET', KEYS[3], KEYS[1]) or 0) or 0
local some = largest > 0 and largest * SOME <= 2 * bytes
if largest == 0 or largest * most > 8 * bytes then many = most end

local function known(rows)
  local newest = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)
  return {trimmed, newest[1][1], largest, rows}
end

while taken < most do
  local entries = redis.call('XRANGE', KEYS[1], '(' .. last, '+', 'COUNT', math.min(step, most - taken))
  for _, entry in ipairs(entries) do
    local key, value = '', ''
    for field = 1, #entry[2], 2 do
      if entry[2][field] == 'k' then key = entry[2][field + 1] end
      if entry[2][field] == 'v' then value = entry[2][field + 1] end
    end
    local rows = key == '' and tonumber(string.match(value, '^{"copied":(%d+),')) or 1
    if some and rows > 1 then return taken == 0 and known(rows) or reply end
    bytes = bytes - #value
    if taken > 0 and (bytes < 0 or taken + rows > most) then return reply end
    reply[#reply + 1] = entry[1]
    reply[#reply + 1] = key
    reply[#reply + 1] = value
    taken = taken + rows
  end
  if #entries < step or bytes <= 0 then return reply end
  if taken >= many and taken < most then return known(1) end
  last = entries[#entries][1]
  -- What is fetched and then left out stays small against what was taken.
  step = math.min(16, step * 2)
end
return reply
