-- take: move the next message from its queue to those that a worker holds.
--
-- Keeps promise 1: a message stands in its queue or in `unacked`, whenever the worker that takes it is killed; and what
-- is no message of kombu's is moved out of the way, where it stands in nobody's way and is not lost.
--
-- KEYS[1]   hash of held messages: delivery tag -> [payload, exchange, routing key] (JSON), as kombu reads it
-- KEYS[2]   sorted set of held messages: delivery tag -> Unix time at which they were taken, seconds, by the clock of
--           this server: those of workers may differ by hours
-- KEYS[3…]  two for each list, in the order in which they are looked into: the list to take from, and the list for what
--           is no message
-- ARGV[1]   bytes of the largest message
-- ARGV[2…]  for each list, the queue to which what is taken from it may go back, "" when nobody will acknowledge it
-- returns   {list, payload, delivery tag or "" where nothing was noted}, {list} for what was no message, nil when all
--           are empty

-- What kombu and Celery cannot do without, when they read a message or give it back. A message whose tag is empty would
-- be held under no name, and never be acknowledged.
local function is_message(message)
  if type(message) ~= 'table' or type(message.properties) ~= 'table' then return false end
  local properties, delivery = message.properties, message.properties.delivery_info
  return type(delivery) == 'table' and type(delivery.exchange) == 'string' and type(delivery.routing_key) == 'string'
    and type(properties.delivery_tag) == 'string' and properties.delivery_tag ~= ''
    and (message.headers == nil or type(message.headers) == 'table')
    and (message.body == nil or message.body == cjson.null or type(message.body) == 'string')
end

for i = 3, #KEYS, 2 do
  local payload = redis.call('LINDEX', KEYS[i], -1)
  if payload then
    local is_read, message = false, nil
    if #payload <= tonumber(ARGV[1]) then is_read, message = pcall(cjson.decode, payload) end
    if not is_read or not is_message(message) then
      redis.call('LPUSH', KEYS[i + 1], payload)
      redis.call('RPOP', KEYS[i])
      return {KEYS[i]}
    end
    local tag = ''
    local queue = ARGV[(i + 1) / 2]
    if queue ~= '' then
      tag = message.properties.delivery_tag
      -- Noted first and taken last, so that a full server refuses all of it and not the second half.
      redis.call('HSET', KEYS[1], tag, '[' .. payload .. ', "", ' .. cjson.encode(queue) .. ']')
      local time = redis.call('TIME')
      redis.call('ZADD', KEYS[2], string.format('%s.%06d', time[1], time[2]), tag)
    end
    redis.call('RPOP', KEYS[i])
    return {KEYS[i], payload, tag}
  end
end
return false
