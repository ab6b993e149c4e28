-- take: move the next message from its queue to those that a worker holds.
--
-- Keeps promise 1: a message stands in its queue or in `unacked`, whenever the worker that takes it is killed.
--
-- KEYS[1]   hash of held messages: delivery tag -> [payload, exchange, routing key] (JSON), as kombu reads it
-- KEYS[2]   sorted set of held messages: delivery tag -> Unix time at which they were taken, seconds
-- KEYS[3…]  lists to take from, in the order in which they are looked into
-- ARGV[1]   Unix time by the worker's clock, seconds, which is what kombu compares with
-- ARGV[2…]  for each list, 1 when what is taken has to be noted, 0 when nobody will acknowledge it
-- returns   {list, payload, delivery tag or "" where nothing was noted}, nil when all are empty

for i = 3, #KEYS do
  local payload = redis.call('LINDEX', KEYS[i], -1)
  if payload then
    local tag = ''
    -- What is no message of kombu's cannot be noted; the worker says what is wrong with it.
    local is_read, message = pcall(cjson.decode, payload)
    if ARGV[i - 1] == '1' and is_read then
      local delivery = message.properties.delivery_info
      tag = message.properties.delivery_tag
      -- Noted first and taken last, so that a full server refuses all of it and not the second half.
      redis.call('HSET', KEYS[1], tag, '[' .. payload .. ', ' .. cjson.encode(delivery.exchange) .. ', '
        .. cjson.encode(delivery.routing_key) .. ']')
      redis.call('ZADD', KEYS[2], ARGV[1], tag)
    end
    redis.call('RPOP', KEYS[i])
    return {KEYS[i], payload, tag}
  end
end
return false
