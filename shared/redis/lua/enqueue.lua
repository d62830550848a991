#!lua
-- enqueue: makes tickets claimable when they are due, and wakes idle workers.
--
-- KEYS   prelude.lua
-- ARGV   tickets, as add_tickets reads them
-- reply  'ok'
local state = redis.call('HMGET', STATE, 'marker', 'announced')
if not state[1] and math.abs(now - (tonumber(state[2]) or 0)) >= ANNOUNCE_MS then
  -- The queue may be new: nobody is registered for it, so everybody hears of it.
  redis.call('HSET', STATE, 'announced', now)
  redis.call('PUBLISH', 'haul:lost', STATE:match('{(.-)}'))
end
add_tickets(1)
return 'ok'
