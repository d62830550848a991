#!lua
-- enqueue: makes tickets claimable when they are due, and wakes idle workers.
--
-- KEYS   prelude.lua
-- ARGV   tickets, as add_tickets reads them
-- reply  'ok', or 'unknown' when this slot does not know over how many the queue is split
if not state[MARKER] and math.abs(now - (tonumber(state[ANNOUNCED]) or 0)) >= ANNOUNCE_MS then
  -- The queue may be new: nobody is registered for it, so everybody hears of it.
  redis.call('HSET', STATE, 'announced', now)
  redis.call('PUBLISH', 'haul:lost', queue())
end
add_tickets(1)
return state[SLOTS] and 'ok' or 'unknown'
