-- bulk_rows: note what a job writes for its keys, before it writes it.
--
-- Keeps promise 2: as bulk_save.
--
-- KEYS[1]  base of the object's keys
-- ARGV[1]  token of the job
-- ARGV[2]  token of the worker
-- ARGV[3]  lease of the job, milliseconds, which is extended
-- ARGV[4…] key, row (see `Row`), "" for one that is not written after all; repeated
-- returns  1, or 0 where the job is no longer this worker's

local base, token = KEYS[1], ARGV[1]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local job = base .. 'bulk:' .. token
if redis.call('HGET', job, 'worker') ~= ARGV[2] then return 0 end
redis.call('ZADD', base .. 'bulk', now + tonumber(ARGV[3]), token)
for i = 4, #ARGV, 2 do
  if ARGV[i + 1] == '' then
    redis.call('HDEL', job .. ':rows', ARGV[i])
  else
    redis.call('HSET', job .. ':rows', ARGV[i], ARGV[i + 1])
  end
end
return 1
