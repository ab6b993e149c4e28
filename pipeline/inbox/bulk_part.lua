-- bulk_part: take keys from a job into a claim of its worker's own, with a lease, to be settled like any other.
--
-- Keeps promise 2: under a token that only this worker has, so that it and who takes the job over never act on one key;
-- and promise 1: should the worker die, the lease ends and the sweep returns them.
--
-- KEYS[1]  base of the object's keys
-- ARGV[1]  token of the job
-- ARGV[2]  token of the worker; who no longer has the job may still take what a running one does not write
-- ARGV[3]  token of the new claim
-- ARGV[4]  lease of the claim, milliseconds
-- ARGV[5…] keys
-- returns  the keys that were the job's

local base, token, lease = KEYS[1], ARGV[1], tonumber(ARGV[4])
local job = base .. 'bulk:' .. token
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local is_mine = redis.call('HGET', job, 'worker') == ARGV[2]
local kind = redis.call('HGET', job, 'stage') == 'running' and redis.call('HGET', job, 'kind')

local parted = {}
for i = 5, #ARGV do
  local key, held = ARGV[i], is_mine
  if not held and kind then
    held = string.match(redis.call('HGET', job .. ':rows', key) or '', '^%d+:(%a+):') ~= kind
  end
  for value in string.gmatch(key, '[^&]+') do
    if redis.call('GET', base .. 'lock:' .. value) ~= token then held = false end
  end
  if held then
    for value in string.gmatch(key, '[^&]+') do redis.call('SET', base .. 'lock:' .. value, ARGV[3], 'PX', lease) end
    redis.call('ZADD', base .. 'claims', now + lease, key)
    parted[#parted + 1] = key
  end
end
return parted
