-- sample: store the sample of a minute, unless there is one.
--
-- Every worker takes samples, so the first of a minute is kept and the stream stays in order, bounded by its length.
--
-- KEYS[1] pipeline:{metrics}:history
-- ARGV[1] beginning of the minute, Unix ms
-- ARGV[2] entries to keep
-- ARGV[3] sample (JSON)
-- returns 1 when it was stored, else 0

local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
if last and tonumber(string.match(last[1], '^%d+')) >= tonumber(ARGV[1]) then return 0 end
redis.call('XADD', KEYS[1], 'MAXLEN', ARGV[2], ARGV[1] .. '-0', 'sample', ARGV[3])
return 1
