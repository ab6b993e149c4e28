-- commit: end the claim of keys for which Salesforce has answered.
--
-- Keeps promise 1: applied operations leave their inbox, refused ones move to the dead letters, and the others stay,
-- in one step; and promise 2: a key whose locks the token no longer holds is left alone.
--
-- KEYS[1]  base of the object's keys
-- ARGV[1]  token of the claim
-- ARGV[2]  seconds for which the clock of a key is kept
-- ARGV[3]  seconds for which a record Id is kept
-- ARGV[4…] one JSON object per key: key; taken (operations claimed); keep ([position, …] of those that stay);
--          bury ([[position, reason, operation id, call, the entry in words or ""], …]); told ([[operation id, trace],
--          …]); clock ("" leaves it); record ("" forgets it); delay_ms until the kept ones are due again; place (Unix
--          milliseconds among which they are due instead: when the first of them came); attempt (whether this one counts)
-- returns  the keys that the token does not hold

local base, token, clock_s, record_s = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local stamp = string.format('%.0f', now)
local lost, applied, buried, kept_back = {}, 0, 0, 0
for i = 4, #ARGV do
  local settled = cjson.decode(ARGV[i])
  local key, inbox, held = settled.key, base .. 'inbox:' .. settled.key, true
  for value in string.gmatch(key, '[^&]+') do
    if redis.call('GET', base .. 'lock:' .. value) ~= token then held = false end
  end
  if not held then
    lost[#lost + 1] = key
  else
    -- First what frees memory: after that a full server refuses nothing of a script.
    redis.call('ZREM', base .. 'claims', key)
    local attempts = redis.call('HGET', base .. 'attempts', key) or '0'
    for _, letter in ipairs(settled.bury) do
      -- People read dead letters with redis-cli. What nobody could read moves as it is.
      local operation = letter[5] ~= '' and letter[5] or redis.call('LINDEX', inbox, letter[1])
      local id = redis.call('XADD', base .. 'dead', '*', 'operation', operation, 'reason', letter[2], 'attempts', attempts)
      if letter[3] ~= '' then
        redis.call('SET', base .. 'seen:' .. letter[3], stamp .. ' b ' .. id .. ' ' .. letter[4], 'XX', 'KEEPTTL')
      end
    end
    -- What it keeps is a day old at most: an id that is forgotten by now is not remembered again.
    for _, one in ipairs(settled.told) do
      redis.call('SET', base .. 'seen:' .. one[1], stamp .. ' ' .. one[2], 'XX', 'KEEPTTL')
    end
    local kept = {}
    for _, position in ipairs(settled.keep) do kept[#kept + 1] = redis.call('LINDEX', inbox, position) end
    redis.call('LTRIM', inbox, settled.taken, -1)
    for position = #kept, 1, -1 do redis.call('LPUSH', inbox, kept[position]) end

    if settled.clock ~= '' then redis.call('SET', base .. 'clock:' .. key, settled.clock, 'EX', clock_s) end
    if settled.record ~= '' then
      redis.call('SET', base .. 'record:' .. key, settled.record, 'EX', record_s)
    else
      redis.call('DEL', base .. 'record:' .. key)
    end

    -- What came with high priority meanwhile goes before all others; see append.lua. A retry goes on waiting.
    local function place(otherwise)
      return redis.call('SREM', base .. 'urgent', key) == 1 and now - 1e13 or otherwise
    end
    for value in string.gmatch(key, '[^&]+') do redis.call('DEL', base .. 'lock:' .. value) end
    if #kept > 0 then
      local due = settled.place and place(settled.place) or now + settled.delay_ms
      redis.call('ZADD', base .. 'ready', due, key)
      if settled.attempt then redis.call('HINCRBY', base .. 'attempts', key, 1) end
    else
      redis.call('HDEL', base .. 'attempts', key)
      if redis.call('EXISTS', inbox) == 1 then
        redis.call('ZADD', base .. 'ready', place(now), key)
      end
    end
    applied = applied + settled.taken - #kept - #settled.bury
    buried = buried + #settled.bury
    kept_back = kept_back + #kept
  end
end
for name, number in pairs({applied = applied, buried = buried, retried = kept_back}) do
  if number > 0 then redis.call('HINCRBY', base .. 'counts', name, number) end
end
return lost
