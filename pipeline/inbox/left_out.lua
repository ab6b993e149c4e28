-- left_out: count values that were not written, by what is told of them.
--
-- What is told holds names that producers invent, so the number of sentences is bounded: what comes when the hash is
-- full is counted under one sentence for all. Known ones go on being counted apart.
--
-- KEYS[1]  base of the object's keys
-- ARGV[1]  most sentences
-- ARGV[2]  the sentence for all others
-- ARGV[3…] sentence, times; repeated
-- returns  how many sentences there are

local counted, most = KEYS[1] .. 'left_out', tonumber(ARGV[1])
for i = 3, #ARGV, 2 do
  local told = ARGV[i]
  if redis.call('HEXISTS', counted, told) == 0 and redis.call('HLEN', counted) >= most then told = ARGV[2] end
  redis.call('HINCRBY', counted, told, ARGV[i + 1])
end
return redis.call('HLEN', counted)
