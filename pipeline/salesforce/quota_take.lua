-- Take API calls out of the bucket that all workers share, or only look (0 calls).
-- KEYS[1]  pipeline:{quota}:bucket     hash: debt (calls granted and not refilled yet), at_ms (when debt was right)
-- KEYS[2]  pipeline:{quota}:usage      hash: used, limit (what the org last said about its last 24 hours)
-- KEYS[3]  pipeline:{quota}:in_flight  hash: holder -> "<until_ms>:<calls>:<object>"
-- KEYS[4]  pipeline:{quota}:turns      hash: object -> "<had> <weight> <until_ms> <wanted> <urgent>"; had: the calls that
--          it was granted so far, divided by its weight; until_ms, wanted, urgent: it waits for calls, 0 0 0 if it does
--          not. Field "" -> the largest had of an object at the time of a grant
-- ARGV[1]  calls wanted, 0 to look     ARGV[2]  holder, "" for a call of a holder that has its slot already
-- ARGV[3]  share of the limit, 0..1    ARGV[4]  reserve, calls a day
-- ARGV[5]  length of a day, ms         ARGV[6]  most holders at once
-- ARGV[7]  life of a slot, ms          ARGV[8]  the least burst, calls
-- ARGV[9]  how long a refused object is waited for until it asks again, ms
-- ARGV[10] object, "" for none         ARGV[11] its weight      ARGV[12] 1 when records of high priority wait there
-- Returns {verdict, wait in ms, calls free in the bucket now, holders, used or -1, limit or -1}; verdicts:
--   granted | no_budget | at_share | in_flight | refilling | unknown (refilling, while the limit is not known yet)
--   | turn (there are calls, but they go to objects that wait and come first)
-- Promise: in any span of time the grants are at most burst + rate * time, with burst + rate * day = share * limit
-- - reserve; nothing is granted while the usage seen, with the calls granted and not yet seen, reaches share * limit.
-- Of objects that wait, those with urgent records come first, then those that had least for their weight (start-time
-- fair queueing): what has calls enough for them all is granted at once, so turns cost nothing while calls are plenty.
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
  local until_ms, taken = string.match(slots[i + 1], '^(%d+):(%d+)')
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

-- Who comes first. An object that asked for little is not paid back more than the least burst: it would starve others.
local object, weight, urgent = ARGV[10], tonumber(ARGV[11]), ARGV[12]
local turns = {}
local flat = redis.call('HGETALL', KEYS[4])
for i = 1, #flat, 2 do turns[flat[i]] = flat[i + 1] end
local largest = tonumber(turns[''] or '0')
local had = math.max(tonumber(string.match(turns[object] or '', '^%S+') or largest), largest - least_burst)
local ahead, objects_ahead = 0, 0
if object ~= '' and holder ~= '' then
  for other, turn in pairs(turns) do
    local its_had, until_ms, its_wanted, its_urgent = string.match(turn, '^(%S+) %S+ (%d+) (%d+) (%d)$')
    if its_had and other ~= object and tonumber(until_ms) > now then
      its_had = math.max(tonumber(its_had), largest - least_burst)
      local is_first = its_had < had or (its_had == had and other < object)
      if its_urgent ~= urgent then is_first = its_urgent == '1' end
      if is_first then
        ahead, objects_ahead = ahead + tonumber(its_wanted), objects_ahead + 1
      end
    end
  end
end

local verdict, wait = 'granted', 0
if limit >= 0 and used + wanted > ceiling then
  verdict, wait = 'at_share', 60000
elseif not has_slot and holders + objects_ahead >= tonumber(ARGV[6]) then
  verdict, wait = 'in_flight', 200
elseif limit >= 0 and used + underway + ahead + wanted > ceiling then
  verdict, wait = 'in_flight', 200
elseif debt + ahead + wanted > burst + 1e-6 then
  verdict = debt + wanted <= burst + 1e-6 and 'turn' or limit < 0 and 'unknown' or 'refilling'
  wait = rate > 0 and math.min(math.ceil((debt + ahead + wanted - burst) / rate), 300000) or 300000
end

if verdict == 'granted' and calls > 0 then
  redis.call('HSET', KEYS[1], 'debt', string.format('%.6f', debt + calls), 'at_ms', now)
  if holder ~= '' then
    redis.call('HSET', KEYS[3], holder, string.format('%d:%d:%s', now + tonumber(ARGV[7]), held + calls, object))
  end
  if object ~= '' then
    -- A call more for a batch under way is charged, and does not end the waiting of the object's next batch.
    local waits = holder == '' and string.match(turns[object] or '', '^%S+ %S+ (.*)$') or '0 0 0'
    redis.call('HSET', KEYS[4], '', string.format('%.6f', math.max(largest, had)),
      object, string.format('%.6f %s %s', had + calls / weight, ARGV[11], waits))
  end
elseif calls > 0 and holder ~= '' and object ~= '' then
  redis.call('HSET', KEYS[4], object,
    string.format('%.6f %s %d %d %s', had, ARGV[11], now + tonumber(ARGV[9]), calls, urgent))
end
return {verdict, wait, math.floor(free), holders, used, limit}
