-- Take API calls out of the bucket that all workers share, or only look (0 calls).
-- KEYS[1]  pipeline:{quota}:bucket     hash: debt (calls granted and not refilled yet), at_ms (when debt was right)
-- KEYS[2]  pipeline:{quota}:usage      hash: used, limit (what the org last said about its last 24 hours)
-- KEYS[3]  pipeline:{quota}:in_flight  hash: holder -> "<until_ms>:<calls>"
-- ARGV[1]  calls wanted, 0 to look     ARGV[2]  holder, "" for a call of a holder that has its slot already
-- ARGV[3]  share of the limit, 0..1    ARGV[4]  reserve, calls a day
-- ARGV[5]  length of a day, ms         ARGV[6]  most holders at once
-- ARGV[7]  life of a slot, ms          ARGV[8]  the least burst, calls
-- Returns {verdict, wait in ms, calls free in the bucket now, holders, used or -1, limit or -1}; verdicts:
--   granted | no_budget | at_share | in_flight | refilling | unknown (refilling, while the limit is not known yet)
-- Promise: in any span of time the grants are at most burst + rate * time, with burst + rate * day = share * limit
-- - reserve; nothing is granted while the usage seen, with the calls granted and not yet seen, reaches share * limit.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local calls, holder = tonumber(ARGV[1]), ARGV[2]
local wanted = math.max(calls, 1) -- who only looks wants to know what one call would meet
local share, reserve, day = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local least_burst = tonumber(ARGV[8])

local usage = redis.call('HMGET', KEYS[2], 'used', 'limit')
local used, limit = tonumber(usage[1] or '-1'), tonumber(usage[2] or '-1')

local holders, underway = 0, 0
local has_slot = holder == ''
local slots = redis.call('HGETALL', KEYS[3])
local held = 0
for i = 1, #slots, 2 do
  local until_ms, taken = string.match(slots[i + 1], '^(%d+):(%d+)$')
  if until_ms == nil or tonumber(until_ms) <= now then
    redis.call('HDEL', KEYS[3], slots[i])
  else
    holders = holders + 1
    underway = underway + tonumber(taken)
    if slots[i] == holder then
      has_slot = true
      held = tonumber(taken)
    end
  end
end

-- A burst is ten minutes' refill; it is part of the day's budget, or a day could see both.
local burst, rate
local ceiling = share * limit
local budget = ceiling - reserve
if limit < 0 then
  -- Until the first answer tells: enough to get one, and a trickle that even the smallest org affords.
  burst, rate = least_burst, 1 / 60000
elseif budget < wanted then
  return {'no_budget', 300000, 0, holders, used, limit}
else
  burst = math.min(math.max(budget / 145, least_burst), budget)
  rate = (budget - burst) / day
end

local bucket = redis.call('HMGET', KEYS[1], 'debt', 'at_ms')
local debt = tonumber(bucket[1] or '0')
debt = math.max(0, debt - math.max(0, now - tonumber(bucket[2] or now)) * rate)
local free = math.max(0, burst - debt)

local verdict, wait = 'granted', 0
if limit >= 0 and used + wanted > ceiling then
  verdict, wait = 'at_share', 60000
elseif not has_slot and holders >= tonumber(ARGV[6]) then
  verdict, wait = 'in_flight', 200
elseif limit >= 0 and used + underway + wanted > ceiling then
  verdict, wait = 'in_flight', 200
elseif debt + wanted > burst + 1e-6 then
  verdict = limit < 0 and 'unknown' or 'refilling'
  wait = rate > 0 and math.min(math.ceil((debt + wanted - burst) / rate), 300000) or 300000
end

if verdict == 'granted' and calls > 0 then
  redis.call('HSET', KEYS[1], 'debt', string.format('%.6f', debt + calls), 'at_ms', now)
  if holder ~= '' then
    redis.call('HSET', KEYS[3], holder, string.format('%d:%d', now + tonumber(ARGV[7]), held + calls))
  end
end
return {verdict, wait, math.floor(free), holders, used, limit}
