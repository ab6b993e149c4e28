-- receive: count what became of messages, each once, and keep rejected ones as dead letters.
--
-- Keeps promise 5 for the figures: a message delivered twice is counted once, so that accepted, skipped and rejected
-- add up to the events sent.
--
-- KEYS[1]  base of the events' keys, "pipeline:{events}:"
-- ARGV[1]  seconds for which a message id is remembered
-- ARGV[2]  1 to keep what a trace tells, see trace.py
-- ARGV[3…] message id, outcome (accepted | skipped | rejected), reason (of an accepted one: its operations), event
--          (JSON; "" unless rejected); repeated
-- returns  how many of the messages had not been counted before

local base, new = KEYS[1], 0
local time = redis.call('TIME')
local stamp = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
for i = 3, #ARGV, 4 do
  local id, outcome, reason, event = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
  local told = ARGV[2] == '1' and stamp .. ' ' .. outcome .. ' ' .. reason or '1'
  if redis.call('SET', base .. 'seen:' .. id, told, 'NX', 'EX', ARGV[1]) then
    new = new + 1
    redis.call('HINCRBY', base .. 'counts', outcome, 1)
    if outcome == 'skipped' then redis.call('HINCRBY', base .. 'skipped', reason, 1) end
    if event ~= '' then redis.call('XADD', base .. 'dead', '*', 'event', event, 'reason', reason, 'attempts', '0') end
  end
end
return new
