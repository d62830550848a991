#!lua flags=allow-oom
-- extend: makes leases last from now. In a lost queue, leases that nobody holds are taken up again.
--
-- KEYS   prelude.lua
-- ARGV   lease_ms, then groups: kind, n, n times id, n times token .. priority
-- reply  for each lease 'held' or 'gone'
local until_ms = now + ARGV[1]
local lost = nil

local function queue_is_lost()
  if lost == nil then
    lost = not state[MARKER] or state[MARKER] ~= run_id()
  end
  return lost
end

local answers, taken_up, at = {}, {}, 2
while ARGV[at] do
  local kind, count = tonumber(ARGV[at]), tonumber(ARGV[at + 1])
  local ids = arguments(at + 2, count)
  local held, leases, expiries = redis.call('HMGET', key(kind, LEASE), unpack(ids)), {}, {}
  for i, id in ipairs(ids) do
    local mine = ARGV[at + 1 + count + i]
    local value = held[i] or taken_up[kind .. id]
    local holds = value and value:sub(1, 16) == mine:sub(1, 16)
    if not value and queue_is_lost() then
      holds, taken_up[kind .. id] = true, mine
      leases[#leases + 1], leases[#leases + 2] = id, mine .. '-'
    end
    if holds then
      expiries[#expiries + 1], expiries[#expiries + 2] = until_ms, id
    end
    answers[#answers + 1] = holds and 'held' or 'gone'
  end
  many('HSET', key(kind, LEASE), leases)
  many('ZADD', key(kind, EXPIRY), expiries)
  at = at + 2 + 2 * count
end
return answers
