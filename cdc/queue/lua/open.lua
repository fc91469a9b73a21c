-- Lets a reader's run begin: from here on, publish.lua refuses every lower token.
--
-- KEYS[1]  {name}:epoch       hash: token = highest reader token seen, call = publish calls of that token's run so far
-- KEYS[2]  {name}:checkpoint  string: JSON
-- ARGV[1]  the reader's token, a decimal integer > 0
--
-- Returns {"OK", checkpoint or ""}, or {"FENCED", stored token} where that token or a higher one was here before.
-- An equal token is refused too: a Redis restored to an older state may hand one out twice.

local stored = redis.call('HGET', KEYS[1], 'token')
if stored and tonumber(stored) >= tonumber(ARGV[1]) then
  return {'FENCED', stored}
end
redis.call('HSET', KEYS[1], 'token', ARGV[1], 'call', 0)
return {'OK', redis.call('GET', KEYS[2]) or ''}
