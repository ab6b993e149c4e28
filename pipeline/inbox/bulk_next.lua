-- bulk_next: take the job of the object that is to be looked at, or begin to collect one from a backlog.
--
-- Keeps promise 2: a job has one worker at a time. It is taken by a lease of its own, and whoever finds the lease over
-- goes on with it: the job's score is when it is due, or when the lease of its worker ends.
--
-- KEYS[1] base of the object's keys
-- ARGV[1] token of the worker
-- ARGV[2] lease of a job, milliseconds
-- ARGV[3] due keys from which a job is worth its calls, 0 to begin none
-- ARGV[4] keys of a full job
-- ARGV[5] milliseconds after a job left until the next leaves that is not full
-- ARGV[6] jobs that there may be at once
-- ARGV[7] token of the job, should one begin
-- ARGV[8] token of the deliverer; while the backlog waits, its place is kept
-- ARGV[9] milliseconds after which a deliverer of which nothing was heard no longer counts
-- ARGV[10] longest that a due key is held back to gather more, milliseconds
-- ARGV[11] milliseconds for which keys are gathered from now on, as events wait to be taken in; 0 if none do
-- returns {"job", token, worker whose lease is over or "", name, value, …} | {"collect"} | {"none"}
--         | {"wait"}: the backlog is for a job, and not yet | {"leave"}: the same, and others wait for it

local base, worker, lease = KEYS[1], ARGV[1], tonumber(ARGV[2])
local threshold, full, linger, most = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local jobs = base .. 'bulk'

local function wait()
  redis.call('ZREMRANGEBYSCORE', base .. 'deliverers', '-inf', now)
  -- Who was woken for a job that another has taken does not stay, or there were more of them with every look.
  local is_new = not redis.call('ZSCORE', base .. 'deliverers', ARGV[8])
  if is_new and redis.call('ZCARD', base .. 'deliverers') > 0 then return {'leave'} end
  redis.call('ZADD', base .. 'deliverers', now + tonumber(ARGV[9]), ARGV[8])
  return {'wait'}
end

local due = redis.call('ZRANGE', jobs, '-inf', now, 'BYSCORE', 'LIMIT', 0, 1)[1]
if due then
  local job = base .. 'bulk:' .. due
  local before = redis.call('HGET', job, 'worker') or ''
  if before ~= '' then redis.call('HINCRBY', job, 'deaths', 1) end
  local found = redis.call('HGETALL', job)
  redis.call('HSET', job, 'worker', worker)
  redis.call('ZADD', jobs, now + lease, due)
  return {'job', due, before, unpack(found)}
end

if threshold == 0 then return {'none'} end
local waiting = redis.call('ZCOUNT', base .. 'ready', '-inf', now)
if waiting < threshold or redis.call('EXISTS', base .. 'bulk_off') == 1 then return {'none'} end
-- Keys of high priority, with a negative score, do not wait for a job: batches take them first.
if redis.call('ZCOUNT', base .. 'ready', '-inf', '(0') > 0 then return {'none'} end
local running = redis.call('ZRANGE', jobs, 0, -1)
for _, token in ipairs(running) do
  if redis.call('HGET', base .. 'bulk:' .. token, 'stage') == 'collecting' then return wait() end
end
if #running >= most then return {'none'} end
if ARGV[11] ~= '0' then redis.call('SET', base .. 'gathering', '1', 'PX', ARGV[11]) end
if waiting < full and redis.call('EXISTS', base .. 'gathering') == 1 then
  local oldest = tonumber(redis.call('ZRANGE', base .. 'ready', 0, 0, 'WITHSCORES')[2])
  if now - oldest < tonumber(ARGV[10]) then return wait() end
end
if waiting < full and redis.call('EXISTS', base .. 'bulk_left') == 1 then return wait() end
redis.call('SET', base .. 'bulk_left', '1', 'PX', linger)
redis.call('HSET', base .. 'bulk:' .. ARGV[7], 'stage', 'collecting', 'worker', worker, 'since_ms', now)
redis.call('ZADD', jobs, now + lease, ARGV[7])
return {'collect'}
