-- Appends messages to their lanes and moves the checkpoint, in one atomic step, if nobody else has been here.
--
-- KEYS[1]  {name}:epoch       hash: token, call (see open.lua); a stream's key -> the bytes of its largest entry, key and value,
--          since it was empty (none: not known). What is said there for an entry's id holds for all entries up to it.
--          "copied:" and a stream's key -> how many more messages than entries may be there, since some are bundles (none: 0)
-- KEYS[2]  {name}:checkpoint  string: JSON
-- KEYS[3]  {name}:schemas     hash: a schema's fingerprint, or a table version's name -> JSON
-- KEYS[4…] {name}:lane:<lane> streams, in the order in which ARGV numbers them from 1
-- ARGV[1]  the reader's token
-- ARGV[2]  how many publish calls this run has made before; another number stored means that Redis forgot some
-- ARGV[3]  the new checkpoint, or "" to leave it where it is (more calls of the same publish follow)
-- ARGV[4]  number of schemas S
-- ARGV[…]  2 x S: fingerprint, JSON
-- ARGV[…]  four for each stream: the number of its first entry in this call, counting from 1 within the run; how many entries
--          were appended before, in the same transaction (MULTI), and the bytes of the largest of these; how many more messages
--          than entries may be there
-- ARGV[…]  all messages that were not, in one text: for each, in 4 bytes little-endian each, the number of its stream, the size
--          of its key (0 = none) and of its value; then key and value
--
-- Returns {"OK", length of each stream},
--         {"FENCED", stored token} where a higher token was here, nothing being written,
--         {"LOST", stored token, stored call} where the store is not what this run left, nothing being written,
--         {"GONE", stream} where what was appended before is not there, nothing else being written.
-- An entry's id is <token>-<number>: it grows with every run whatever the clock says, and leaves no hole within one.

local token = ARGV[1]
local stored = redis.call('HMGET', KEYS[1], 'token', 'call')
if stored[1] and tonumber(stored[1]) > tonumber(token) then
  return {'FENCED', stored[1]}
end
if stored[1] ~= token or stored[2] ~= ARGV[2] then
  return {'LOST', stored[1] or '0', stored[2] or '0'}
end

local function last_id(stream)
  local about = redis.pcall('XINFO', 'STREAM', stream)
  for field = 1, #about, 2 do
    if about[field] == 'last-generated-id' then return about[field + 1] end
  end
  return '0-0'
end

local described = 5
local at = described + 2 * ARGV[4]
local numbers, known, largest, copied = {}, {}, {}, {}
for stream = 4, #KEYS do
  local first, came = tonumber(ARGV[at]), tonumber(ARGV[at + 1])
  known[stream] = redis.call('XLEN', KEYS[stream]) == came and 0 or tonumber(redis.call('HGET', KEYS[1], KEYS[stream]) or -1)
  if came > 0 then
    local last = last_id(KEYS[stream])
    if last ~= token .. '-' .. string.format('%d', first + came - 1) then
      local other = string.match(last, '^%d+')
      if tonumber(other) > tonumber(token) then return {'FENCED', other} end
      return {'GONE', KEYS[stream]}
    end
  end
  numbers[stream] = first + came
  largest[stream] = tonumber(ARGV[at + 2])
  copied[stream] = ARGV[at + 3]
  at = at + 4
end

for name = described, described + 2 * ARGV[4] - 1, 2 do
  local answer = redis.pcall('HSET', KEYS[3], ARGV[name], ARGV[name + 1])
  if type(answer) == 'table' and answer.err then return answer end
end

-- The checks above leave two reasons for XADD to fail: no memory (always at the first write, so nothing was written), and a
-- stream that holds a higher token although the epoch key does not: then that token fences.
local messages = ARGV[at]
local place = 1
local size = #messages
while place <= size do
  local number, key_size, value_size, key_place = struct.unpack('<I4I4I4', messages, place)
  local value_place = key_place + key_size
  place = value_place + value_size
  local stream = number + 3
  local id = token .. '-' .. string.format('%d', numbers[stream])
  numbers[stream] = numbers[stream] + 1
  local value = string.sub(messages, value_place, place - 1)
  if key_size + value_size > largest[stream] then largest[stream] = key_size + value_size end
  local answer
  if key_size == 0 then
    answer = redis.pcall('XADD', KEYS[stream], id, 'v', value)
  else
    answer = redis.pcall('XADD', KEYS[stream], id, 'k', string.sub(messages, key_place, value_place - 1), 'v', value)
  end
  if type(answer) == 'table' and answer.err then
    if string.find(answer.err, 'equal or smaller', 1, true) then
      return {'FENCED', string.match(last_id(KEYS[stream]), '^%d+')}
    end
    return answer
  end
end

for stream = 4, #KEYS do
  if known[stream] >= 0 and largest[stream] > known[stream] then
    local answer = redis.pcall('HSET', KEYS[1], KEYS[stream], largest[stream])
    if type(answer) == 'table' and answer.err then return answer end
  end
end
for stream = 4, #KEYS do
  local field = 'copied:' .. KEYS[stream]
  if (redis.call('HGET', KEYS[1], field) or '0') ~= copied[stream] then
    local answer = redis.pcall('HSET', KEYS[1], field, copied[stream])
    if type(answer) == 'table' and answer.err then return answer end
  end
end
if ARGV[3] ~= '' then
  local answer = redis.pcall('SET', KEYS[2], ARGV[3])
  if answer.err then return answer end
end
local answer = redis.pcall('HSET', KEYS[1], 'call', string.format('%d', ARGV[2] + 1))
if type(answer) == 'table' and answer.err then return answer end

local lengths = {'OK'}
for stream = 4, #KEYS do
  lengths[#lengths + 1] = redis.call('XLEN', KEYS[stream])
end
return lengths
