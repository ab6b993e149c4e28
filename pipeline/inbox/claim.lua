-- claim: take due keys whose locks are all free, lock them, and return the operations that wait there.
--
-- Keeps promise 2 (one worker at a time per match value) and the rule when a batch leaves: at once when the object has
-- been idle for the linger, else when it is full or the linger is over. While events wait to be taken in, and for a
-- linger after, keys are gathered instead: what is still to come for them is then merged, and costs no call of its own.
--
-- KEYS[1] base of the object's keys
-- ARGV[1] token of the claim
-- ARGV[2] keys in a full batch, the most that are taken
-- ARGV[3] linger, milliseconds
-- ARGV[4] lease, milliseconds
-- ARGV[5] most operations taken of one key, where a full batch is due; of fewer keys up to ten times as many
-- ARGV[6] most operations taken in all
-- ARGV[7] token of the deliverer, whose place among those at work is renewed
-- ARGV[8] deliverers that may be at work for the object at once
-- ARGV[9] milliseconds after which a deliverer or a wake-up of which nothing was heard no longer counts
-- ARGV[10] token for waking one more deliverer
-- ARGV[11] longest that a due key is held back to gather more, milliseconds
-- ARGV[12] 1 when events wait to be taken in
-- returns {"empty"} | {"wait", milliseconds}
--         | {"batch", 1 when the wake-up ARGV[10] has to be sent, keys that are due and stay behind,
--            {key, attempts, record Id, clock, {operations}}, …}

local base, token, most, linger = KEYS[1], ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local lease, most_of_key, most_in_all = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local deliverer, most_deliverers, wake_ms, gather = ARGV[7], tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[11])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

redis.call('ZADD', base .. 'deliverers', now + wake_ms, deliverer)

local due = redis.call('ZCOUNT', base .. 'ready', '-inf', now)
if due == 0 then return {'empty'} end
if ARGV[12] == '1' then redis.call('SET', base .. 'gathering', '1', 'PX', math.max(linger, 1)) end
-- Beyond fifty batches waiting for more saves little, and a backfill has to keep the org busy.
if due < 50 * most and redis.call('EXISTS', base .. 'gathering') == 1 then
  local oldest = tonumber(redis.call('ZRANGE', base .. 'ready', 0, 0, 'WITHSCORES')[2])
  if now - oldest < gather then return {'wait', math.max(linger, 1)} end
end
if due < most then
  local left = tonumber(redis.call('GET', base .. 'left') or 0)
  if now - left < linger then return {'wait', linger - (now - left)} end
end

-- Where few keys are due, each may bring more: a key that everybody writes to would take a linger for each share.
most_of_key = math.max(most_of_key, math.min(10 * most_of_key, math.floor(most_in_all / due)))

local batch, taken, passed_by = {'batch', 0, 0}, 0, 0
local has_urgent = redis.call('EXISTS', base .. 'urgent') == 1
-- Keys that share a match value with a claimed one stay ready; looking at twice the batch passes them by.
for _, key in ipairs(redis.call('ZRANGE', base .. 'ready', '-inf', now, 'BYSCORE', 'LIMIT', 0, 2 * most)) do
  if #batch - 3 >= most or taken >= most_in_all then break end
  local locks, free, in_job = {}, true, false
  for value in string.gmatch(key, '[^&]+') do
    locks[#locks + 1] = base .. 'lock:' .. value
    local left = redis.call('PTTL', locks[#locks])
    if left ~= -2 then free = false end
    if left == -1 then in_job = true end
  end
  -- A bulk job can take long: what shares a match value with it goes out of the way of the keys behind.
  if in_job then redis.call('ZADD', base .. 'ready', now + 5000, key) end
  if free then
    for _, lock in ipairs(locks) do redis.call('SET', lock, token, 'PX', lease) end
    redis.call('ZREM', base .. 'ready', key)
    if has_urgent then redis.call('SREM', base .. 'urgent', key) end
    redis.call('ZADD', base .. 'claims', now + lease, key)
    local operations = redis.call('LRANGE', base .. 'inbox:' .. key, 0, most_of_key - 1)
    taken = taken + #operations
    batch[#batch + 1] = {
      key,
      redis.call('HGET', base .. 'attempts', key) or '0',
      redis.call('GET', base .. 'record:' .. key) or '',
      redis.call('GET', base .. 'clock:' .. key) or '',
      operations,
    }
  else
    passed_by = passed_by + 1
  end
end
if passed_by > 0 then redis.call('HINCRBY', base .. 'counts', 'lock_waits', passed_by) end
if #batch == 3 then return {'wait', linger} end

redis.call('SET', base .. 'left', string.format('%.0f', now), 'PX', math.max(linger, 1000))
redis.call('ZREMRANGEBYSCORE', base .. 'deliverers', '-inf', now)
local at_work = redis.call('ZCARD', base .. 'deliverers')
due = redis.call('ZCOUNT', base .. 'ready', '-inf', now)
if at_work < most_deliverers and due >= most * at_work then
  redis.call('ZADD', base .. 'deliverers', now + wake_ms, ARGV[10])
  batch[2] = 1
end
batch[3] = due
return batch
