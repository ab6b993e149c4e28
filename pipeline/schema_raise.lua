-- schema_raise: note the version of what is written from now on, unless a newer one is noted.
--
-- KEYS[1]  pipeline:schema
-- ARGV[1]  version of the caller
-- returns  the version that is noted
local noted = tonumber(redis.call('GET', KEYS[1]) or 0)
local own = tonumber(ARGV[1])
if noted >= own then return noted end
redis.call('SET', KEYS[1], own)
return own
