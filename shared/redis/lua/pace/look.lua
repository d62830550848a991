#!lua flags=no-writes
-- look: what there is to see of a destination.
--
-- KEYS   pace/prelude.lua
-- ARGV   none of its own
-- reply  breaker, us for which it has been like that, failures, in_flight, waiting, us in which nobody is let through;
--        nothing when it is not known
local state = load()
if not state.is_known then return {} end
local in_flight = redis.call('ZCOUNT', PERMITS, '(' .. text(now), '+inf')
local waiting = redis.call('ZCOUNT', LINE, '(' .. text(now - LATE), '+inf')
local till = math.max(state.asked_until, state.breaker == 'open' and state.open_until or 0)
return { state.breaker, math.max(0, now - state.changed), state.failures, in_flight, waiting, math.max(0, till - now) }
