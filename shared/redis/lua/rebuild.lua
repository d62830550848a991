#!lua
-- rebuild: enqueues tickets of a rebuild and renews its right.
--
-- KEYS   prelude.lua
-- ARGV   token, hold_ms, then tickets, as add_tickets reads them
-- reply  'ok', or 'expired' when the right was lost; then nothing was done
if redis.call('GET', REBUILD) ~= right(ARGV[1]) then
  return 'expired'
end
redis.call('PEXPIRE', REBUILD, ARGV[2])
add_tickets(3)
return 'ok'
