#!lua flags=allow-oom
-- wake: wakes another idle worker for each kind.
--
-- KEYS   prelude.lua
-- ARGV   none
-- reply  'ok'
for kind = 1, kinds do
  wake(key(kind, IDLE), 1)
end
return 'ok'
