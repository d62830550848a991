#!lua flags=allow-oom
-- settle: ends leases. One that is held under another token, or not at all, is left alone.
--
-- KEYS   prelude.lua
-- ARGV   groups: kind, n, n times id, n times token, and where the tickets go:
--        'done' | 'release' | 'park', n times due_ms
-- reply  'ok'
local at = 1
while ARGV[at] do
  local kind, count = tonumber(ARGV[at]), tonumber(ARGV[at + 1])
  local ids, tokens_at = arguments(at + 2, count), at + 2 + count
  local word = ARGV[tokens_at + count]
  local held = redis.call('HMGET', key(kind, LEASE), unpack(ids))
  local mine, ended, parked, released, suspects = {}, {}, {}, {}, {}
  for i, id in ipairs(ids) do
    if held[i] and held[i]:sub(1, 16) == ARGV[tokens_at + i - 1] and not ended[id] then
      ended[id] = true
      local priority = tonumber(held[i]:sub(17, 17))
      mine[#mine + 1] = id
      if word == 'park' then
        parked[#parked + 1] = ARGV[tokens_at + count + i] * 10 + priority
        parked[#parked + 1] = id
      elseif word == 'release' and held[i]:sub(18) == 's' then
        -- A suspect that was not tried is still one.
        suspects[#suspects + 1], suspects[#suspects + 2] = priority, id
      elseif word == 'release' then
        released[priority] = released[priority] or {}
        table.insert(released[priority], id)
      end
    end
  end
  many('HDEL', key(kind, LEASE), mine)
  many('ZREM', key(kind, EXPIRY), mine)
  park(kind, parked)
  for priority, list in pairs(released) do
    -- The last one is pushed first, so that they stand in the order given.
    local backwards = {}
    for i = #list, 1, -1 do
      backwards[#backwards + 1] = list[i]
    end
    many('LPUSH', key(kind, READY + priority), backwards)
  end
  many('ZADD', key(kind, SUSPECT), suspects)
  if word == 'release' then
    wake(key(kind, IDLE), math.min(#mine, WAKES_MAX))
  end
  at = tokens_at + count + 1 + (word == 'park' and count or 0)
end
return 'ok'
