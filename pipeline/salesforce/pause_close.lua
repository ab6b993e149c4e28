-- Close the circuit, or take note that a probe has failed.
-- KEYS[1]  pipeline:{pause}:circuit  hash: reason, advice, since_ms, interval_ms, next_ms, probing_until_ms
-- ARGV[1]  reason    ARGV[2]  advice
-- ARGV[3]  first interval between probes, ms    ARGV[4]  the longest one, ms
-- Promise: the interval doubles once for each probe that failed, however many workers fail at the same time; it never
-- shortens while the circuit is closed.
-- Returns the time of the next probe, Unix ms.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local first, longest = tonumber(ARGV[3]), tonumber(ARGV[4])
local known = redis.call('HMGET', KEYS[1], 'interval_ms', 'next_ms', 'probing_until_ms')
local interval, next_ms = tonumber(known[1] or '0'), tonumber(known[2] or '0')
if interval == 0 then
  interval = first
  next_ms = now + interval
  redis.call('HSET', KEYS[1], 'since_ms', now)
elseif tonumber(known[3] or '0') > 0 then
  interval = math.max(interval, math.min(math.max(interval * 2, first), longest))
  next_ms = now + interval
elseif first > interval then
  interval = first
  next_ms = now + interval
end
redis.call('HSET', KEYS[1], 'reason', ARGV[1], 'advice', ARGV[2], 'interval_ms', interval, 'next_ms', next_ms,
  'probing_until_ms', 0)
return next_ms
