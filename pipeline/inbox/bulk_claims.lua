-- bulk_claims: return what waits for keys that a job holds, as the claim returned it.
--
-- While a job holds a key, what arrives for it goes behind what it has: the first operations of its inbox stay.
--
-- KEYS[1]  base of the object's keys
-- ARGV[1]  token of the job
-- ARGV[2]  most operations taken of one key
-- ARGV[3]  place in the job's keys
-- ARGV[4]  how many of them at most
-- ARGV[5]  most operations taken in all, so that a worker's memory stays bounded
-- returns  {keys looked at, {key, row or "", attempts, record Id, clock, {operations}}, …}, without those it lost

local base, token, start = KEYS[1], ARGV[1], tonumber(ARGV[3])
local job = base .. 'bulk:' .. token
local keys = redis.call('LRANGE', job .. ':keys', start, start + tonumber(ARGV[4]) - 1)
local claims, taken, most_in_all = {#keys}, 0, tonumber(ARGV[5])
for place, key in ipairs(keys) do
  if taken >= most_in_all then
    claims[1] = place - 1
    break
  end
  local held = true
  for value in string.gmatch(key, '[^&]+') do
    if redis.call('GET', base .. 'lock:' .. value) ~= token then held = false end
  end
  if held then
    local row = redis.call('HGET', job .. ':rows', key) or ''
    local most = tonumber(string.match(row, '^%d+') or ARGV[2])
    local operations = redis.call('LRANGE', base .. 'inbox:' .. key, 0, most - 1)
    taken = taken + #operations
    claims[#claims + 1] = {
      key,
      row,
      redis.call('HGET', base .. 'attempts', key) or '0',
      redis.call('GET', base .. 'record:' .. key) or '',
      redis.call('GET', base .. 'clock:' .. key) or '',
      operations,
    }
  end
end
return claims
