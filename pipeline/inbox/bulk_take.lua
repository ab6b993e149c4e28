-- bulk_take: give due keys to a job, which holds them for as long as it lasts.
--
-- Keeps promise 1 and 2: no lease ends while a job may still write. The locks have no time to live and the claim has no
-- end, so no sweep returns the keys; the job's record names them, and whoever takes the job over lets them go.
--
-- Taken are keys of one kind, the match fields, that never failed before. Their operations stay unread until all keys
-- have been taken: nothing but their number is needed before.
--
-- KEYS[1] base of the object's keys
-- ARGV[1] token of the job
-- ARGV[2] token of the worker
-- ARGV[3] lease of the job, milliseconds, which is extended
-- ARGV[4] match fields of the keys, as "company&email"
-- ARGV[5] most keys taken
-- ARGV[6] due keys to pass by: those that were not taken before
-- ARGV[7] due keys to look at
-- returns {keys looked at, passed by in all, taken, of which without a record Id}, or {-1} where the job is no longer
--         this worker's

local base, token, most, passed = KEYS[1], ARGV[1], tonumber(ARGV[5]), tonumber(ARGV[6])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local job = base .. 'bulk:' .. token
if redis.call('HGET', job, 'worker') ~= ARGV[2] then return {-1} end
redis.call('ZADD', base .. 'bulk', now + tonumber(ARGV[3]), token)

local has_urgent = redis.call('EXISTS', base .. 'urgent') == 1
local have_failed = redis.call('EXISTS', base .. 'attempts') == 1
local looked_at, taken, unknown = 0, 0, 0
-- A negative score is a key of high priority, which does not wait for a job.
for _, key in ipairs(redis.call('ZRANGE', base .. 'ready', 0, now, 'BYSCORE', 'LIMIT', passed, ARGV[7])) do
  if taken >= most then break end
  looked_at = looked_at + 1
  local free = string.gsub(key, '=[^&]*', '') == ARGV[4]
  if free and has_urgent then free = redis.call('SISMEMBER', base .. 'urgent', key) == 0 end
  if free and have_failed then free = redis.call('HEXISTS', base .. 'attempts', key) == 0 end
  local locks = {}
  if free then
    for value in string.gmatch(key, '[^&]+') do
      locks[#locks + 1] = base .. 'lock:' .. value
      if redis.call('EXISTS', locks[#locks]) == 1 then free = false end
    end
  end
  if free then
    for _, lock in ipairs(locks) do redis.call('SET', lock, token) end
    redis.call('ZREM', base .. 'ready', key)
    redis.call('ZADD', base .. 'claims', '+inf', key)
    redis.call('RPUSH', job .. ':keys', key)
    taken = taken + 1
    if redis.call('EXISTS', base .. 'record:' .. key) == 0 then unknown = unknown + 1 end
  else
    passed = passed + 1
  end
end
return {looked_at, passed, taken, unknown}
