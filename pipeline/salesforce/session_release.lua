-- Release the renewal lock, if it is still ours.
-- KEYS[1]  pipeline:session:renewing
-- ARGV[1]  token of the worker that took it
-- Returns 1 when released, 0 when the lock had passed to somebody else.
if redis.call('GET', KEYS[1]) == ARGV[1] then
  return redis.call('DEL', KEYS[1])
end
return 0
