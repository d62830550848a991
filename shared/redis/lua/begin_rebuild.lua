#!lua flags=allow-oom
-- begin_rebuild: makes the queue lost and drops its waiting tickets of the kinds; leases stay.
--
-- KEYS   prelude.lua
-- ARGV   token, hold_ms
-- reply  'begun', or 'taken' while another rebuild is under way
if not redis.call('SET', REBUILD, ARGV[1], 'NX', 'PX', ARGV[2]) then
  return 'taken'
end
redis.call('HDEL', STATE, 'marker')
for kind = 1, kinds do
  local waiting = { key(kind, DUE), key(kind, SUSPECT) }
  for priority = 0, 9 do
    waiting[#waiting + 1] = key(kind, READY + priority)
  end
  redis.call('UNLINK', unpack(waiting))
end
return 'begun'
