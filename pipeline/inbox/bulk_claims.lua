-- bulk_claims: return what waits for keys that a job holds, as the claim would return it.
--
-- While a job holds a key, what arrives for it goes behind what it has: the first operations of its inbox stay.
--
-- KEYS[1]  base of the object's keys
-- ARGV[1]  token of the job
-- ARGV[2]  most operations taken of one key
-- ARGV[3]  most operations taken in all, so that a worker's memory stays bounded
-- ARGV[4…] keys
-- returns  {keys looked at, {key, row or "", attempts, record Id, clock, {operations}}, …}, without those it lost

local base, token, most_in_all = KEYS[1], ARGV[1], tonumber(ARGV[3])
local rows = base .. 'bulk:' .. token .. ':rows'
local claims, taken = {#ARGV - 3}, 0
for place = 4, #ARGV do
  local key, held = ARGV[place], true
  if taken >= most_in_all then
    claims[1] = place - 4
    break
  end
  for value in string.gmatch(key, '[^&]+') do
    if redis.call('GET', base .. 'lock:' .. value) ~= token then held = false end
  end
  if held then
    local row = redis.call('HGET', rows, key) or ''
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
