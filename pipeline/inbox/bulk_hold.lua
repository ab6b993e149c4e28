-- bulk_hold: give claimed keys to a job, which holds them for as long as it lasts.
--
-- Keeps promise 1 and 2: no lease ends while a job may still write. The locks lose their time to live and the claim
-- has no end, so no sweep returns the keys; the job's record names them, and whoever takes the job over lets them go.
--
-- KEYS[1]  base of the object's keys
-- ARGV[1]  token of the job, under which the keys were claimed
-- ARGV[2]  token of the worker
-- ARGV[3]  lease of the job, milliseconds, which is extended
-- ARGV[4…] keys
-- returns  how many are held, or -1 where the job is no longer this worker's

local base, token, lease = KEYS[1], ARGV[1], tonumber(ARGV[3])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local job = base .. 'bulk:' .. token
if redis.call('HGET', job, 'worker') ~= ARGV[2] then return -1 end

redis.call('ZADD', base .. 'bulk', now + lease, token)
local count = 0
for i = 4, #ARGV do
  local key, held = ARGV[i], true
  for value in string.gmatch(key, '[^&]+') do
    if redis.call('GET', base .. 'lock:' .. value) ~= token then held = false end
  end
  if held then
    for value in string.gmatch(key, '[^&]+') do redis.call('PERSIST', base .. 'lock:' .. value) end
    redis.call('ZADD', base .. 'claims', '+inf', key)
    redis.call('RPUSH', job .. ':keys', key)
    count = count + 1
  end
end
return count
