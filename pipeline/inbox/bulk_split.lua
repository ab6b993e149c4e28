-- bulk_split: give keys of one job to another, which goes on from there on its own.
--
-- Keeps promise 2: a key changes hands in one step; a worker that no longer has the first job gives nothing away.
--
-- KEYS[1]  base of the object's keys
-- ARGV[1]  token of the job
-- ARGV[2]  token of the worker, which has both
-- ARGV[3]  lease of a job, milliseconds
-- ARGV[4]  token of the other job, which begins with this where it does not exist
-- ARGV[5…] keys
-- returns  how many it got, or -1 where the job is no longer this worker's

local base, token, other = KEYS[1], ARGV[1], ARGV[4]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local job, another = base .. 'bulk:' .. token, base .. 'bulk:' .. other
if redis.call('HGET', job, 'worker') ~= ARGV[2] then return -1 end

redis.call('HSET', another, 'stage', 'looking', 'worker', ARGV[2], 'since_ms', now, 'unknown', '0')
for _, name in ipairs({'names', 'join'}) do
  redis.call('HSET', another, name, redis.call('HGET', job, name) or '')
end
for _, one in ipairs({token, other}) do redis.call('ZADD', base .. 'bulk', now + tonumber(ARGV[3]), one) end
local count = 0
for i = 5, #ARGV do
  local key, held = ARGV[i], true
  local row = redis.call('HGET', job .. ':rows', key)
  for value in string.gmatch(key, '[^&]+') do
    if redis.call('GET', base .. 'lock:' .. value) ~= token then held = false end
  end
  if held and row then
    for value in string.gmatch(key, '[^&]+') do redis.call('SET', base .. 'lock:' .. value, other) end
    redis.call('RPUSH', another .. ':keys', key)
    redis.call('HSET', another .. ':rows', key, row)
    count = count + 1
  end
end
return count
