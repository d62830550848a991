#!lua flags=allow-oom
-- claim: moves tickets into leases: lowest priority first; within one, suspects first, then the oldest head among the
-- kinds. First promotes what has become due or has expired. Costs what it takes, however much waits.
--
-- KEYS   prelude.lua
-- ARGV   worker, token, lease_ms, limit, then the room for each kind. A limit of 0 takes nothing, and wakes others for what is
--        there.
-- reply  'ready', 'paused' or 'lost'; in how many ms the next ticket is due or lease expires (-1: none is known); then
--        a string per ticket: its id, its priority, 's' for a suspect or '-', the number of its kind
local worker, token, lease_until, left = ARGV[1], ARGV[2], now + ARGV[3], tonumber(ARGV[4])
local room = {}
for kind = 1, kinds do
  room[kind] = tonumber(ARGV[4 + kind])
end

if not state[MARKER] or state[PAUSED] then
  register(ALL_IDLE, worker)
  return { state[MARKER] and 'paused' or 'lost', -1 }
end

-- How many due tickets and expired leases one call promotes, and how many leased duplicates it drops, at most.
local PROMOTIONS_MAX, DROPS_MAX = 1000, 1000
-- How many ids of a line are looked at together.
local CHUNK = 100

local promotions, drops = PROMOTIONS_MAX, DROPS_MAX

-- The lowest score of a sorted set.
local function first_score(set)
  return tonumber(redis.call('ZRANGE', set, 0, 0, 'WITHSCORES')[2]) or math.huge
end

-- For each kind, when its next ticket is due and when its next lease expires.
local due_at, expires_at = {}, {}

local function promote_due(kind)
  local set = key(kind, DUE)
  due_at[kind] = math.floor(first_score(set) / 10)
  if due_at[kind] > now or promotions == 0 then return end
  local due = redis.call('ZRANGE', set, '-inf', now * 10 + 9, 'BYSCORE', 'LIMIT', 0, promotions, 'WITHSCORES')
  local ready = {}
  for i = 1, #due, 2 do
    local priority = due[i + 1] % 10
    ready[priority] = ready[priority] or {}
    table.insert(ready[priority], due[i])
  end
  for priority, ids in pairs(ready) do
    many('RPUSH', key(kind, READY + priority), ids)
  end
  redis.call('ZREMRANGEBYRANK', set, 0, #due / 2 - 1)
  due_at[kind] = math.floor(first_score(set) / 10)
  promotions = promotions - #due / 2
end

local function promote_expired(kind)
  local set = key(kind, EXPIRY)
  expires_at[kind] = first_score(set)
  if expires_at[kind] > now or promotions == 0 then return end
  local ids = redis.call('ZRANGE', set, '-inf', now, 'BYSCORE', 'LIMIT', 0, promotions)
  local leases, suspects = redis.call('HMGET', key(kind, LEASE), unpack(ids)), {}
  for i, id in ipairs(ids) do
    suspects[2 * i - 1] = leases[i] and leases[i]:sub(17, 17) or 9
    suspects[2 * i] = id
  end
  many('ZADD', key(kind, SUSPECT), suspects)
  redis.call('HDEL', key(kind, LEASE), unpack(ids))
  redis.call('ZREMRANGEBYRANK', set, 0, #ids - 1)
  expires_at[kind] = first_score(set)
  promotions = promotions - #ids
end

-- Begins with another kind each time, so that none waits for the others' promotions for ever.
for i = 0, kinds - 1 do
  local kind = (now + i) % kinds + 1
  promote_expired(kind)
  promote_due(kind)
end

local reply, taken, leases, expiries = { 'ready', -1 }, {}, {}, {}

-- Goes to the next id of the line that is not leased. `line.done` counts the ids that leave the line.
local function advance(line)
  while true do
    line.at = line.at + 1
    line.id = line.ids[line.at]
    if not line.id then
      local count = math.min(left, room[line.kind], CHUNK)
      line.ids = line.fetch(line.done, count)
      if #line.ids == 0 then return false end
      line.held = redis.call('HMGET', key(line.kind, LEASE), unpack(line.ids))
      line.at = 0
    elseif line.held[line.at] or taken[line.id] then
      if drops == 0 then return false end
      drops, line.done = drops - 1, line.done + 1
    else
      if line.is_compared then line.age = age(line.id) end
      return true
    end
  end
end

-- Takes from lines of one priority, the oldest head first.
local function take(lines, priority, flag)
  local value = token .. priority .. flag
  local open = {}
  for _, line in ipairs(lines) do
    line.ids, line.at, line.done, line.suffix = {}, 0, 0, priority .. flag .. line.kind
    line.is_compared = #lines > 1
    if advance(line) then open[#open + 1] = line end
  end
  while left > 0 and #open > 0 do
    local best = 1
    for i = 2, #open do
      if older(open[i].age, open[best].age) then best = i end
    end
    local line = open[best]
    local kind, id = line.kind, line.id
    reply[#reply + 1] = id .. line.suffix
    taken[id] = true
    leases[kind], expiries[kind] = leases[kind] or { ANCHOR, '' }, expiries[kind] or { '+inf', ANCHOR }
    local lease, expiry = leases[kind], expiries[kind]
    lease[#lease + 1], lease[#lease + 2] = id, value
    expiry[#expiry + 1], expiry[#expiry + 2] = lease_until, id
    line.done, left, room[kind] = line.done + 1, left - 1, room[kind] - 1
    if left > 0 and (room[kind] == 0 or not advance(line)) then table.remove(open, best) end
  end
  for _, line in ipairs(lines) do
    if line.done > 0 then line.cut(line.done) end
  end
end

-- The keys of the kinds that have room.
local function keys_with_room(which)
  local list = {}
  for kind = 1, kinds do
    if room[kind] > 0 then list[#list + 1] = key(kind, which) end
  end
  return list
end

-- Whether any of these keys exists.
local function any(list)
  return #list > 0 and redis.call('EXISTS', unpack(list)) > 0
end

local function ready_line(kind, priority)
  local list = key(kind, READY + priority)
  return {
    kind = kind,
    fetch = function(from, count) return redis.call('LRANGE', list, from, from + count - 1) end,
    cut = function(count) redis.call('LTRIM', list, count, -1) end,
  }
end

local function suspect_line(kind, priority)
  local set = key(kind, SUSPECT)
  return {
    kind = kind,
    fetch = function(from, count)
      return redis.call('ZRANGE', set, priority, priority, 'BYSCORE', 'LIMIT', from, count)
    end,
    cut = function(count)
      local before = redis.call('ZCOUNT', set, '-inf', '(' .. priority)
      redis.call('ZREMRANGEBYRANK', set, before, before + count - 1)
    end,
  }
end

local function lines_with_room(make, priority)
  local lines = {}
  for kind = 1, kinds do
    if room[kind] > 0 then lines[#lines + 1] = make(kind, priority) end
  end
  return lines
end

local suspects = any(keys_with_room(SUSPECT))
for priority = 0, 9 do
  if left > 0 and suspects then take(lines_with_room(suspect_line, priority), priority, 's') end
  if left > 0 and any(keys_with_room(READY + priority)) then
    take(lines_with_room(ready_line, priority), priority, '-')
  end
end
for kind, lease in pairs(leases) do
  many('HSET', key(kind, LEASE), lease)
  many('ZADD', key(kind, EXPIRY), expiries[kind])
  expires_at[kind] = math.min(expires_at[kind], lease_until)
end

-- Whether a claim of this kind would find something now.
local function is_left(kind)
  local list = { key(kind, SUSPECT) }
  for priority = 0, 9 do
    list[#list + 1] = key(kind, READY + priority)
  end
  return any(list)
end

local next_at, found_less = drops == 0 and now or math.huge, false
for kind = 1, kinds do
  next_at = math.min(next_at, due_at[kind], expires_at[kind])
  local idle = key(kind, IDLE)
  if left > 0 and room[kind] > 0 then
    register(idle, worker)
    found_less = true
  else
    redis.call('ZREM', idle, worker)
    -- This worker has no room for the next ticket, and so does not come back for it: another has to.
    if redis.call('EXISTS', idle) == 1 and (due_at[kind] < now + IDLE_MS or is_left(kind)) then
      wake(idle, 1)
    end
  end
end
if found_less then
  register(ALL_IDLE, worker)
else
  redis.call('ZREM', ALL_IDLE, worker)
end

if next_at < math.huge then reply[2] = math.max(0, next_at - now) end
return reply
