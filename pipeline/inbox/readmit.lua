-- readmit: end the dead letter of a rejected event that was taken in after all.
--
-- Keeps promise 1: called after its operations were appended, so that one killed in between leaves the dead letter;
-- and promise 5 for the figures: however often it is retried, the event is counted once.
--
-- KEYS[1]  base of the events' keys, "pipeline:{events}:"
-- ARGV[1]  id of the dead letter
-- ARGV[2]  outcome (accepted | skipped)
-- ARGV[3]  message id, "" where no trace is kept
-- ARGV[4]  operations of an accepted one, or why it was skipped, for the trace and the figures
-- returns  1 when it was there, else 0

if redis.call('XDEL', KEYS[1] .. 'dead', ARGV[1]) == 0 then return 0 end
redis.call('HINCRBY', KEYS[1] .. 'counts', 'rejected', -1)
redis.call('INCR', KEYS[1] .. 'readmitted')
redis.call('HINCRBY', KEYS[1] .. 'counts', ARGV[2], 1)
if ARGV[2] == 'skipped' then redis.call('HINCRBY', KEYS[1] .. 'skipped', ARGV[4], 1) end
if ARGV[3] ~= '' then
  local time = redis.call('TIME')
  local stamp = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
  redis.call('SET', KEYS[1] .. 'seen:' .. ARGV[3], stamp .. ' ' .. ARGV[2] .. ' ' .. ARGV[4], 'XX', 'KEEPTTL')
end
return 1
