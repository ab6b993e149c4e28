-- bulk_wake: say whether a deliverer must be woken for a job that is to be looked at.
--
-- Keeps promise 1: a job whose worker was killed, and one that has ended, goes on.
--
-- KEYS[1] base of the object's keys
-- ARGV[1] milliseconds after which a wake-up that nobody answered is forgotten
-- ARGV[2] token of the wake-up, should one be due
-- returns 1 when the wake-up has to be sent

local base = KEYS[1]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if redis.call('ZCOUNT', base .. 'bulk', '-inf', now) == 0 then return 0 end
redis.call('ZREMRANGEBYSCORE', base .. 'deliverers', '-inf', now)
if redis.call('ZCARD', base .. 'deliverers') > 0 then return 0 end
redis.call('ZADD', base .. 'deliverers', now + tonumber(ARGV[1]), ARGV[2])
return 1
