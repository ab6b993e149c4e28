-- sweep: return the keys of expired claims to the ready ones, and say whether a deliverer must be woken.
--
-- Keeps promise 1: what a killed worker had claimed, and what a lost wake-up should have started, goes on.
--
-- KEYS[1] base of the object's keys
-- ARGV[1] milliseconds after which a wake-up that nobody answered is forgotten
-- ARGV[2] token of the wake-up, should one be due
-- returns {keys returned, 1 when the wake-up ARGV[2] has to be sent}

local base, wake_ms = KEYS[1], tonumber(ARGV[1])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local expired = redis.call('ZRANGE', base .. 'claims', '-inf', now, 'BYSCORE', 'LIMIT', 0, 5000)
for _, key in ipairs(expired) do
  redis.call('ZREM', base .. 'claims', key)
  if redis.call('EXISTS', base .. 'inbox:' .. key) == 1 then redis.call('ZADD', base .. 'ready', 'NX', now, key) end
end

redis.call('ZREMRANGEBYSCORE', base .. 'deliverers', '-inf', now)
if redis.call('ZCOUNT', base .. 'ready', '-inf', now) > 0 and redis.call('ZCARD', base .. 'deliverers') == 0 then
  redis.call('ZADD', base .. 'deliverers', now + wake_ms, ARGV[2])
  return {#expired, 1}
end
return {#expired, 0}
