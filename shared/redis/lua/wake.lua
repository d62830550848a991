#!lua flags=allow-oom
-- wake: wakes another idle worker for each kind.
--
-- KEYS   prelude.lua
-- ARGV   none
-- reply  'woken', or 'nobody'
local left = 0
for kind = 1, kinds do
  left = left + wake(key(kind, IDLE), 1)
end
return left < kinds and 'woken' or 'nobody'
