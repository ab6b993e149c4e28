-- bulk_save: note how far a job has come, and when it is to be looked at; or end its record.
--
-- Keeps promise 2: only the worker that has the job may say so. One whose lease has gone to somebody else is told, and
-- does nothing more for the job.
--
-- KEYS[1]  base of the object's keys
-- ARGV[1]  token of the job
-- ARGV[2]  token of the worker
-- ARGV[3]  milliseconds until it is to be looked at, or until the worker's lease ends; -1 ends the record
-- ARGV[4]  1 when the worker keeps it, 0 when anybody may go on
-- ARGV[5…] name, value; repeated
-- returns  1, or 0 where the job is no longer this worker's

local base, token, delay = KEYS[1], ARGV[1], tonumber(ARGV[3])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local job = base .. 'bulk:' .. token
if redis.call('HGET', job, 'worker') ~= ARGV[2] then return 0 end

if delay < 0 then
  redis.call('DEL', job)
  redis.call('UNLINK', job .. ':keys', job .. ':rows')
  redis.call('ZREM', base .. 'bulk', token)
  return 1
end
for i = 5, #ARGV, 2 do
  if ARGV[i] == 'stage' and redis.call('HGET', job, 'stage') ~= ARGV[i + 1] then
    redis.call('HSET', job, 'since_ms', now)
  end
  redis.call('HSET', job, ARGV[i], ARGV[i + 1])
end
if ARGV[4] == '0' then redis.call('HSET', job, 'worker', '') end
redis.call('ZADD', base .. 'bulk', now + delay, token)
return 1
