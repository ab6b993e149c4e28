-- release: give claimed keys back untouched, due again later, no attempt counted.
--
-- Keeps promise 8: a fault of the org as a whole costs the operations that were claimed nothing but time.
--
-- KEYS[1]  base of the object's keys
-- ARGV[1]  token of the claim
-- ARGV[2]  milliseconds until the keys are due again
-- ARGV[3…] keys
-- returns  the keys that the token does not hold

local base, token, delay = KEYS[1], ARGV[1], tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local lost = {}
for i = 3, #ARGV do
  local key, held = ARGV[i], true
  for value in string.gmatch(key, '[^&]+') do
    if redis.call('GET', base .. 'lock:' .. value) ~= token then held = false end
  end
  if held then
    for value in string.gmatch(key, '[^&]+') do redis.call('DEL', base .. 'lock:' .. value) end
    redis.call('ZREM', base .. 'claims', key)
    redis.call('ZADD', base .. 'ready', now + delay, key)
  else
    lost[#lost + 1] = key
  end
end
return lost
