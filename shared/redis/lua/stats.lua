#!lua flags=no-writes
-- stats: how much waits, over the kinds.
--
-- KEYS   prelude.lua
-- ARGV   none
-- reply  ready, delayed, leased, and the id of the oldest ready ticket when there is one
local ready, delayed, leased, oldest, oldest_age = 0, 0, 0, nil, nil

-- How many ids of a line are looked at for the oldest.
local LOOKED_AT = 100

local function look_at(ids)
  for _, id in ipairs(ids) do
    local its_age = age(id)
    if not oldest or older(its_age, oldest_age) then oldest, oldest_age = id, its_age end
  end
end

for kind = 1, kinds do
  local due, expiry = key(kind, DUE), key(kind, EXPIRY)
  local due_now, expired = redis.call('ZCOUNT', due, '-inf', now * 10 + 9), redis.call('ZCOUNT', expiry, '-inf', now)
  ready = ready + due_now + expired + redis.call('ZCARD', key(kind, SUSPECT))
  delayed = delayed + redis.call('ZCARD', due) - due_now
  leased = leased + redis.call('ZCOUNT', expiry, '(' .. now, '(+inf')
  look_at(redis.call('ZRANGE', due, '-inf', now * 10 + 9, 'BYSCORE', 'LIMIT', 0, LOOKED_AT))
  look_at(redis.call('ZRANGE', expiry, '-inf', now, 'BYSCORE', 'LIMIT', 0, LOOKED_AT))
  look_at(redis.call('ZRANGE', key(kind, SUSPECT), 0, LOOKED_AT - 1))
  for priority = 0, 9 do
    local line = key(kind, READY + priority)
    ready = ready + redis.call('LLEN', line)
    look_at(redis.call('LRANGE', line, 0, LOOKED_AT - 1))
  end
end
return { ready, delayed, leased, oldest }
