#!lua flags=allow-oom
-- extend: makes a permit last its full time from now.
--
-- KEYS   pace/prelude.lua
-- ARGV   [3] permit: as in permits, from [4] on the rules
-- reply  'held', or 'not held' any longer
local held, rules = ARGV[3], rules_at(4)
forget_what_is_over()
if not redis.call('ZSCORE', PERMITS, held) then return 'not held' end
redis.call('ZADD', PERMITS, 'XX', now + rules.permit, held)
redis.call('ZADD', PROBES, 'XX', now + rules.permit, held)
for _, key in ipairs(KEYS) do
  redis.call('PEXPIRE', key, ARGV[2])
end
return 'held'
