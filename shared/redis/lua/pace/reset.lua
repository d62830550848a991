#!lua flags=allow-oom
-- reset: forgets failures, pauses and the line; calls in flight stay counted.
--
-- KEYS   pace/prelude.lua
-- ARGV   none of its own
-- reply  'done', or 'unknown' when nothing is known of the destination
local state = load()
if not state.is_known then return 'unknown' end
local kept = { epoch = true, hold = true }
for _, name in ipairs(NUMBERS) do
  if not kept[name] then state[name] = 0 end
end
state.last_left, state.window_from = now, now
redis.call('DEL', LINE)
change(state, 'closed')
save(state)
return 'done'
