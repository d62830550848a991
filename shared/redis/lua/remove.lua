#!lua flags=allow-oom
-- remove: takes delayed and suspect tickets away. Ready ones stay: looking for them would read their whole list.
--
-- KEYS   prelude.lua
-- ARGV   groups: kind, n, n times id
-- reply  'ok'
local at = 1
while ARGV[at] do
  local kind, count = tonumber(ARGV[at]), tonumber(ARGV[at + 1])
  local ids = arguments(at + 2, count)
  many('ZREM', key(kind, DUE), ids)
  many('ZREM', key(kind, SUSPECT), ids)
  at = at + 2 + count
end
return 'ok'
