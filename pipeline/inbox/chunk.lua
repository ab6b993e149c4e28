-- chunk: remember how many records of the object the org can write at once.
--
-- Two deliverers that learn at the same time both count: it shrinks to the smaller, and grows by one step at a time.
--
-- KEYS[1]  base of the object's keys
-- ARGV[1]  seconds for which it is remembered
-- ARGV[2]  size to shrink to, 0 to grow
-- ARGV[3]  the most there can be, at which nothing needs to be remembered
-- returns  the size, 0 for the most there can be

local chunk, smaller, most = KEYS[1] .. 'chunk', tonumber(ARGV[2]), tonumber(ARGV[3])
local size = tonumber(redis.call('GET', chunk) or 0)
if smaller > 0 then
  if size > 0 then smaller = math.min(size, smaller) end
  redis.call('SET', chunk, smaller, 'EX', ARGV[1])
  return smaller
end
if size == 0 then return 0 end
size = size + math.ceil(size / 10)
if size >= most then
  redis.call('DEL', chunk)
  return 0
end
redis.call('SET', chunk, size, 'EX', ARGV[1])
return size
