-- append: put operations into their inboxes, each once, and say whether the object's deliverer must be woken.
--
-- Keeps promise 1 (an operation is in its inbox before its message is acknowledged) and promise 5 (an id seen is not
-- appended again).
--
-- KEYS[1]  base of the object's keys, "pipeline:{Lead}:"
-- ARGV[1]  seconds for which an operation id is remembered
-- ARGV[2]  keys in a full batch
-- ARGV[3]  deliverers that may be at work for the object at once
-- ARGV[4]  milliseconds after which a wake-up that nobody answered is forgotten
-- ARGV[5]  token of the wake-up, should one be due
-- ARGV[6]  1 to keep what a trace tells, see trace.py
-- ARGV[7…] id, record key, operation as it is stored, 1 when it is of high priority; repeated
-- returns  {appended, seen before, 1 when the wake-up ARGV[5] has to be sent}

local base = KEYS[1]
local seen_s, full, most_deliverers, wake_ms = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- A key with a negative score is one of high priority that is due: it is claimed before all others.
local ahead = 1e13

local appended, seen = 0, 0
local stamp = string.format('%.0f', now)
for i = 7, #ARGV, 4 do
  local id, key, operation = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local told = ARGV[6] == '1' and stamp .. ' w - - ' .. key or '1'
  if redis.call('SET', base .. 'seen:' .. id, told, 'NX', 'EX', seen_s) then
    redis.call('RPUSH', base .. 'inbox:' .. key, stamp .. ' ' .. operation)
    if not redis.call('ZSCORE', base .. 'claims', key) then
      local due = ARGV[i + 3] == '1' and tonumber(redis.call('ZSCORE', base .. 'ready', key) or now)
      -- A key that waits for a retry goes on waiting: its lost write may still be carried out.
      if due and due > 0 and due <= now then redis.call('ZADD', base .. 'ready', now - ahead, key) end
      redis.call('ZADD', base .. 'ready', 'NX', now, key)
    elseif ARGV[i + 3] == '1' then
      redis.call('SADD', base .. 'urgent', key) -- until the claim has ended
    end
    appended = appended + 1
  else
    seen = seen + 1
  end
end
if appended > 0 then redis.call('HINCRBY', base .. 'counts', 'appended', appended) end
if seen > 0 then redis.call('HINCRBY', base .. 'counts', 'repeated', seen) end

redis.call('ZREMRANGEBYSCORE', base .. 'deliverers', '-inf', now)
local at_work = redis.call('ZCARD', base .. 'deliverers')
local due = redis.call('ZCOUNT', base .. 'ready', '-inf', now)
if due > 0 and at_work < most_deliverers and (at_work == 0 or due >= full * at_work) then
  redis.call('ZADD', base .. 'deliverers', now + wake_ms, ARGV[5])
  return {appended, seen, 1}
end
return {appended, seen, 0}
