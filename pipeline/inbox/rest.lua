-- rest: a deliverer goes, unless keys are due that nobody else is at work for.
--
-- Keeps promise 1: between "nothing is due" and "I am gone" an append could have counted on this deliverer.
--
-- KEYS[1] base of the object's keys
-- ARGV[1] token of the deliverer
-- ARGV[2] 1 when it goes in any case (its time is up, or the org or the quota makes it wait)
-- returns 1 when it may go, 0 when it has to stay

local base = KEYS[1]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

redis.call('ZREMRANGEBYSCORE', base .. 'deliverers', '-inf', now)
local others = redis.call('ZCARD', base .. 'deliverers')
if redis.call('ZSCORE', base .. 'deliverers', ARGV[1]) then others = others - 1 end
if ARGV[2] ~= '1' and others == 0 and redis.call('ZCOUNT', base .. 'ready', '-inf', now) > 0 then return 0 end
redis.call('ZREM', base .. 'deliverers', ARGV[1])
return 1
