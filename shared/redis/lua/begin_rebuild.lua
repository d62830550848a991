#!lua flags=allow-oom
-- begin_rebuild: makes the slot lost and drops its waiting tickets of the kinds. Leases stay, unless the queue is split
-- anew: then they belong to other slots, where their holders take them up again.
--
-- KEYS   prelude.lua
-- ARGV   token, hold_ms, over how many slots the queue is split from now on, and which one this is: 'first', whose token is the
--        right to rebuild, 'next', or 'beyond' for one that the queue has no longer
-- reply  'begun' and how many slots have to be emptied, or 'taken' while another rebuild is under way
local token, hold_ms, slots, place = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
if place == 'first' then
  local held = redis.call('GET', REBUILD)
  if held and held:sub(17) == run_id() then
    return { 'taken', 0 }
  end
  redis.call('SET', REBUILD, right(token), 'PX', hold_ms)
elseif place == 'next' then
  -- Whoever holds the first slot's may overwrite: the token that was here cannot be used any more, or does no harm.
  redis.call('SET', REBUILD, right(token), 'PX', hold_ms)
else
  redis.call('UNLINK', REBUILD, ALL_IDLE)
end

local before = redis.call('HMGET', STATE, 'slots', 'was')
local is_split_anew = before[1] and before[1] ~= slots
local most = math.max(tonumber(slots), tonumber(before[1] or 1), tonumber(before[2] or 1))
redis.call('HDEL', STATE, 'marker')
redis.call('HSET', STATE, 'slots', slots)
if place == 'first' and most > tonumber(slots) then
  -- Until the rebuild is finished: whoever has to begin anew has to empty them too.
  redis.call('HSET', STATE, 'was', most)
end
for kind = 1, kinds do
  local dropped = { key(kind, DUE), key(kind, SUSPECT) }
  for priority = 0, 9 do
    dropped[#dropped + 1] = key(kind, READY + priority)
  end
  if is_split_anew or place == 'beyond' then
    dropped[#dropped + 1], dropped[#dropped + 2] = key(kind, EXPIRY), key(kind, LEASE)
  end
  redis.call('UNLINK', unpack(dropped))
end
return { 'begun', most }
