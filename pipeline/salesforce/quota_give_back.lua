-- Put calls back that were taken and not made, and free the holder's slot.
-- KEYS[1]  pipeline:{quota}:bucket     hash: debt, at_ms
-- KEYS[2]  pipeline:{quota}:in_flight  hash: holder -> "<until_ms>:<calls>:<object>"
-- KEYS[3]  pipeline:{quota}:turns      hash: object -> "<had> <weight> <waiting>", see quota_take.lua
-- ARGV[1]  calls                       ARGV[2]  holder
-- Returns the calls put back: never more than the holder has taken, so that giving back twice makes no calls.
local slot = redis.call('HGET', KEYS[2], ARGV[2])
if not slot then
  return 0
end
redis.call('HDEL', KEYS[2], ARGV[2])
local taken, object = string.match(slot, '^%d+:(%d+):?(.*)$')
local back = math.min(tonumber(ARGV[1]), tonumber(taken or '0'))
local debt = tonumber(redis.call('HGET', KEYS[1], 'debt') or '0')
redis.call('HSET', KEYS[1], 'debt', string.format('%.6f', math.max(0, debt - back)))
local had, weight, waiting = string.match(redis.call('HGET', KEYS[3], object or '') or '', '^(%S+) (%S+) (.*)$')
if had then
  redis.call('HSET', KEYS[3], object, string.format('%.6f %s %s', tonumber(had) - back / tonumber(weight), weight, waiting))
end
return back
