#!lua flags=no-writes
-- stats: how much waits, over the kinds.
--
-- KEYS   prelude.lua
-- ARGV   none
-- reply  ready, delayed, leased, and the id of the oldest ready ticket when there is one
local ready, delayed, leased, oldest = 0, 0, 0, nil

local function look_at(id)
  if id and (not oldest or older(id, oldest)) then oldest = id end
end

for kind = 1, kinds do
  local due, expiry = key(kind, DUE), key(kind, EXPIRY)
  local due_now, expired = redis.call('ZCOUNT', due, '-inf', now * 10 + 9), redis.call('ZCOUNT', expiry, '-inf', now)
  ready = ready + due_now + expired + redis.call('ZCARD', key(kind, SUSPECT))
  delayed = delayed + redis.call('ZCARD', due) - due_now
  leased = leased + redis.call('ZCOUNT', expiry, '(' .. now, '(+inf')
  if due_now > 0 then look_at(redis.call('ZRANGE', due, 0, 0)[1]) end
  if expired > 0 then look_at(redis.call('ZRANGE', expiry, 0, 0)[1]) end
  for priority = 0, 9 do
    local line = key(kind, READY + priority)
    ready = ready + redis.call('LLEN', line)
    look_at(redis.call('LINDEX', line, 0))
    look_at(redis.call('ZRANGE', key(kind, SUSPECT), priority, priority, 'BYSCORE', 'LIMIT', 0, 1)[1])
  end
end
return { ready, delayed, leased, oldest }
