-- renew: extend the lease of claimed keys, and name those that are no longer held.
--
-- Keeps promise 2: called right before each write, so that a worker that has lost its lease writes nothing.
--
-- KEYS[1]  base of the object's keys
-- ARGV[1]  token of the claim
-- ARGV[2]  lease, milliseconds
-- ARGV[3…] keys
-- returns  the keys that the token does not hold

local base, token, lease = KEYS[1], ARGV[1], tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local lost = {}
for i = 3, #ARGV do
  local key, held = ARGV[i], true
  for value in string.gmatch(key, '[^&]+') do
    if redis.call('GET', base .. 'lock:' .. value) ~= token then held = false end
  end
  if held then
    for value in string.gmatch(key, '[^&]+') do redis.call('PEXPIRE', base .. 'lock:' .. value, lease) end
    redis.call('ZADD', base .. 'claims', now + lease, key)
  else
    lost[#lost + 1] = key
  end
end
return lost
