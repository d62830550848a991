-- Shared by every script: the keys, the server's clock, and the steps that more than one operation takes. It is put in
-- front of each script, after its `#!lua` line, which makes a script that may not write fail before it has begun.
--
-- A queue may be split over several slots. Each is a queue of its own here: all its keys carry the same hash tag,
-- {tenant/queue} for the first slot and {tenant/queue:1} and so on for the others. Each knows over how many slots the queue is
-- split: whoever counts with another number would look for tickets in the wrong one, or leave them where nobody looks.
--
-- KEYS   [1] state    hash: marker (the server's run id at the last finished rebuild), slots, paused, announced; in the first
--                     slot also was: the most slots that a rebuild has not emptied yet
--        [2] idle     sorted set: workers that found too little, or that a paused or lost queue turned away, by expiry
--        [3] rebuild  string: token of the rebuild under way and the server's run id; expires
--        then 15 for each kind that the call names:
--        DUE          sorted set: ids by due_ms * 10 + priority
--        EXPIRY       sorted set: leased ids by expiry_ms
--        LEASE        hash: leased id -> token .. priority .. 's' for a suspect or '-'
--        SUSPECT      sorted set: ids whose lease expired, by priority
--        IDLE         sorted set: those of them that have room for the kind, by expiry
--        READY + 0..9 lists: ids, one list for each priority
--
-- ARGV   ends in the number of slots that the caller counts with, 0 for whatever it is; it is taken off here. When the queue
--        has another number nothing is done, and the reply is the error SLOTS with that number.
--
-- An id is its 16 bytes, a token too. A worker is '<process>/<worker>', each 32 hexadecimal digits. Times are
-- milliseconds on the server's clock. No call names more than 1,000 tickets or 1,000 kinds.
local STATE, ALL_IDLE, REBUILD = KEYS[1], KEYS[2], KEYS[3]
local DUE, EXPIRY, LEASE, SUSPECT, IDLE, READY = 1, 2, 3, 4, 5, 6

-- A member of EXPIRY, for ever, and a field of LEASE. While a hash or a sorted set is small, Redis keeps it as one string
-- and looks through that; a long entry ends this, and 500 leases take a fifth of the time.
local ANCHOR = string.rep('-', 65)

local kinds = (#KEYS - 3) / 15
local counted = table.remove(ARGV)
local SLOTS, MARKER, PAUSED, ANNOUNCED = 1, 2, 3, 4
local state = counted == '0' and {} or redis.call('HMGET', STATE, 'slots', 'marker', 'paused', 'announced')
-- A slot that was emptied with its server knows of no number. Any will do until it is rebuilt.
if state[SLOTS] and state[SLOTS] ~= counted then
  return redis.error_reply('SLOTS ' .. state[SLOTS])
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- How long a worker counts as idle: workers ask again after 5 s at the latest.
local IDLE_MS = 6000
-- How many workers a call wakes for a kind at most; each wakes another when it leaves tickets behind.
local WAKES_MAX = 2
-- How often a lost queue is announced at most.
local ANNOUNCE_MS = 100

local function key(kind, which)
  return KEYS[3 + (kind - 1) * 15 + which]
end

-- ARGV[from] up to the `count`th from there.
local function arguments(from, count)
  local list = {}
  for i = 1, count do
    list[i] = ARGV[from + i - 1]
  end
  return list
end

-- A variadic command over a list of any length.
local function many(command, on, list)
  for from = 1, #list, 1000 do
    redis.call(command, on, unpack(list, from, math.min(from + 999, #list)))
  end
end

-- An id as numbers, to compare it by: Lua's own `<` for strings follows the server's locale.
local function age(id)
  local high, middle, low = struct.unpack('>I6I6I4', id)
  return { high, middle, low }
end

-- Whether the id of age `a` was made before that of age `b`.
local function older(a, b)
  if a[1] ~= b[1] then return a[1] < b[1] end
  if a[2] ~= b[2] then return a[2] < b[2] end
  return a[3] < b[3]
end

local function run_id()
  return redis.call('INFO', 'server'):match('run_id:(%x+)')
end

-- What REBUILD holds for a token. The right ends with the server that gave it: what it had enqueued there may be gone on
-- another one, or after a restart, and then somebody has to begin anew, at once.
local function right(token)
  return token .. run_id()
end

-- Puts the worker among the idle ones. Whoever is in there has a channel on which it hears.
local function register(idle, worker)
  redis.call('ZADD', idle, now + IDLE_MS, worker)
  -- Whoever died stays until the next wake-up; where none is ever sent, until now and then.
  if now % 50 == 0 then redis.call('ZREMRANGEBYSCORE', idle, '-inf', now) end
end

local woken = {}

-- The queue's name, without the slot's number.
local function queue()
  return STATE:match('{([^:}]*)')
end

-- Wakes a worker, once per call. Whether it may have heard: a lone server knows of all who listen, a cluster's node does
-- not.
local function tell(worker)
  if woken[worker] == nil then
    local message = worker:sub(34) .. ' ' .. queue()
    woken[worker] = redis.call('PUBLISH', 'haul:wake:' .. worker:sub(1, 32), message) > 0
      or redis.call('INFO', 'cluster'):find('cluster_enabled:1', 1, true) ~= nil
  end
  return woken[worker]
end

-- Takes up to `count` workers out of the idle ones, those that wait longest first, and wakes them. Returns how many of
-- `count` were not found.
local function wake(idle, count)
  redis.call('ZREMRANGEBYSCORE', idle, '-inf', now)
  while count > 0 do
    local worker = redis.call('ZPOPMIN', idle)[1]
    if not worker then break end
    if tell(worker) then count = count - 1 end
  end
  return count
end

-- Puts tickets where their time says: `entries` is score, id, score, id, ... as in DUE. Wakes when any can be claimed
-- now, or earlier than whoever waits for this kind was told.
local function park(kind, entries)
  local ready, later, stir, earliest = {}, {}, 0, math.huge
  for i = 1, #entries, 2 do
    local score = tonumber(entries[i])
    if score < (now + 1) * 10 then
      local priority = score % 10
      ready[priority] = ready[priority] or {}
      table.insert(ready[priority], entries[i + 1])
      stir = stir + 1
    else
      later[#later + 1] = score
      later[#later + 1] = entries[i + 1]
      earliest = math.min(earliest, score)
    end
  end
  for priority, ids in pairs(ready) do
    many('RPUSH', key(kind, READY + priority), ids)
  end
  if #later > 0 then
    local first = redis.call('ZRANGE', key(kind, DUE), 0, 0, 'WITHSCORES')[2]
    many('ZADD', key(kind, DUE), later)
    if not first or earliest < tonumber(first) then stir = stir + 1 end
  end
  wake(key(kind, IDLE), math.min(stir, WAKES_MAX))
end

-- Adds the tickets that ARGV lists from `at` on, without those that are leased, in groups:
--   kind, priority, n, n times id           claimable at once
--   kind, 'due', n, n times score, id       by time
local function add_tickets(at)
  while ARGV[at] do
    local kind, line, count = tonumber(ARGV[at]), ARGV[at + 1], tonumber(ARGV[at + 2])
    local stride = line == 'due' and 2 or 1
    local group = arguments(at + 3, count * stride)
    at = at + 3 + #group
    if redis.call('EXISTS', key(kind, LEASE)) == 1 then
      local ids = {}
      for i = stride, #group, stride do
        ids[#ids + 1] = group[i]
      end
      local held, free = redis.call('HMGET', key(kind, LEASE), unpack(ids)), {}
      for i = 1, #ids do
        if not held[i] then
          free[#free + 1] = group[(i - 1) * stride + 1]
          free[#free + 1] = stride == 2 and ids[i] or nil
        end
      end
      group = free
    end
    if line == 'due' then
      park(kind, group)
    elseif #group > 0 then
      many('RPUSH', key(kind, READY + line), group)
      wake(key(kind, IDLE), math.min(#group, WAKES_MAX))
    end
  end
end
