-- keep_results: keep what reads have found, under the id of the message that asked, for a short time.
--
-- The values are those of people, and nobody may ever come for them: each message's results expire, and past so many
-- messages the oldest go first, so that the memory they take is bounded.
--
-- KEYS[1]  base of the keys, "pipeline:{reads}:"
-- ARGV[1]  seconds for which results are kept
-- ARGV[2]  most messages whose results are kept
-- ARGV[3…] message id, rule, result (JSON); repeated
-- returns  how many messages have results

local base, kept_s, most = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

for i = 3, #ARGV, 3 do
  local key = base .. 'result:' .. ARGV[i]
  redis.call('HSET', key, ARGV[i + 1], ARGV[i + 2])
  redis.call('EXPIRE', key, kept_s)
  redis.call('ZADD', base .. 'kept', now, ARGV[i])
end
redis.call('ZREMRANGEBYSCORE', base .. 'kept', '-inf', now - kept_s * 1000)
local surplus = redis.call('ZCARD', base .. 'kept') - most
if surplus > 0 then
  local oldest = redis.call('ZPOPMIN', base .. 'kept', surplus)
  for i = 1, #oldest, 2 do redis.call('DEL', base .. 'result:' .. oldest[i]) end
end
redis.call('EXPIRE', base .. 'kept', kept_s)
return redis.call('ZCARD', base .. 'kept')
