#!lua flags=no-writes
-- leased: which jobs are leased.
--
-- KEYS   prelude.lua
-- ARGV   groups: kind, n, n times id
-- reply  for each job 'leased' or 'free'
local answers, at = {}, 1
while ARGV[at] do
  local kind, count = tonumber(ARGV[at]), tonumber(ARGV[at + 1])
  local expiries = redis.call('ZMSCORE', key(kind, EXPIRY), unpack(arguments(at + 2, count)))
  for i = 1, count do
    answers[#answers + 1] = expiries[i] and tonumber(expiries[i]) > now and 'leased' or 'free'
  end
  at = at + 2 + count
end
return answers
