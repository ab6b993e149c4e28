-- retry: move dead letters of an object back into their inboxes, and say whether its deliverer must be woken.
--
-- Keeps promise 1: an operation stands among the dead letters or in its inbox, and whoever retries it at the same time
-- finds it gone; and promise 3: it keeps its event time, by which a batch is put in order. It passes by the ids that
-- are known, because its own is one of them.
--
-- KEYS[1]  base of the object's keys, "pipeline:{Lead}:"
-- ARGV[1]  milliseconds after which a wake-up that nobody answered is forgotten
-- ARGV[2]  token of the wake-up, should one be due
-- ARGV[3…] id of the dead letter, record key, operation id ("" where no trace is kept); repeated
-- returns  {moved, 1 when the wake-up ARGV[2] has to be sent}

local base, wake_ms = KEYS[1], tonumber(ARGV[1])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local moved = 0
for i = 3, #ARGV, 3 do
  local id, key, operation_id = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local found = redis.call('XRANGE', base .. 'dead', id, id)[1]
  local fields = found and found[2] or {}
  for position = 1, #fields, 2 do
    if fields[position] == 'operation' then
      local operation = string.match(fields[position + 1], '^%d+ (.*)$')
      redis.call('RPUSH', base .. 'inbox:' .. key, string.format('%.0f', now) .. ' ' .. operation)
      if not redis.call('ZSCORE', base .. 'claims', key) then redis.call('ZADD', base .. 'ready', 'NX', now, key) end
      redis.call('XDEL', base .. 'dead', id)
      if operation_id ~= '' then
        local told = string.format('%.0f', now) .. ' w - - ' .. key
        redis.call('SET', base .. 'seen:' .. operation_id, told, 'XX', 'KEEPTTL')
      end
      moved = moved + 1
    end
  end
end
-- Buried are those that still are, so that appended, applied, buried and waiting go on adding up.
if moved > 0 then redis.call('HINCRBY', base .. 'counts', 'buried', -moved) end

redis.call('ZREMRANGEBYSCORE', base .. 'deliverers', '-inf', now)
if moved > 0 and redis.call('ZCARD', base .. 'deliverers') == 0 then
  redis.call('ZADD', base .. 'deliverers', now + wake_ms, ARGV[2])
  return {moved, 1}
end
return {moved, 0}
