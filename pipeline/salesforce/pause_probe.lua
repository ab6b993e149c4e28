-- Ask whether to try the org although the circuit is closed.
-- KEYS[1]  pipeline:{pause}:circuit  hash: see pause_close.lua
-- ARGV[1]  how long the probe has before another is let through, ms
-- Promise: one caller each time that the probe is due.
-- Returns 1 to the caller who may try, 0 to all others, and 0 where nothing is closed.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local known = redis.call('HMGET', KEYS[1], 'next_ms', 'probing_until_ms')
if not known[1] or now < tonumber(known[1]) or now < tonumber(known[2] or '0') then
  return 0
end
redis.call('HSET', KEYS[1], 'probing_until_ms', now + tonumber(ARGV[1]))
return 1
