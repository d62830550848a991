#!lua flags=no-writes
-- scan: tickets and where they are, kind by kind: delayed, suspects, ready ones, then leased ones.
--
-- A sorted set is read upwards from the entry that was read last, wherever that stands or stood. A list is read from its
-- tail to its head: what is taken at the head moves nothing, what comes in at the tail is read a second time.
--
-- KEYS   prelude.lua
-- ARGV   limit, then where to begin: kind, section, position, last
-- reply  where to go on, in the same words (all kinds are read when the kind is past the last); then for each run of
--        tickets: kind, 'delayed', 'ready', 'leased' or 'expired', their ids as one string, and of 'expired' ones a list
--        of for how many ms each
--
-- section   1 delayed, 2 suspects, 3 to 12 ready ones of priority 0 to 9, 13 leased
-- position  in a sorted set the score of the last entry read, in a list how many were read from the tail; 0 at the begin
-- last      in a sorted set the last id read; '' at the begin and in a list
local left, kind, section, position, last = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4], ARGV[5]
local LEASED = 13
local reply = { 0, 0, 0, '' }

-- The rank of the first entry after the one read last. That may have gone: its place among equals is searched for.
local function rank(set)
  if last == '' then return 0 end
  local low = redis.call('ZCOUNT', set, '-inf', '(' .. position)
  local high = redis.call('ZCOUNT', set, '-inf', position)
  local mark = age(last)
  while low < high do
    local middle = math.floor((low + high) / 2)
    if older(mark, age(redis.call('ZRANGE', set, middle, middle)[1])) then
      high = middle
    else
      low = middle + 1
    end
  end
  return low
end

-- Tells the entries from one place of the list to another.
local function tell(place, entries, from, to, ages)
  if from > to then return end
  reply[#reply + 1], reply[#reply + 2], reply[#reply + 3] = kind, place, table.concat(entries, '', from, to)
  if ages then reply[#reply + 1] = ages end
end

-- Reads a sorted set. `split` is the score up to which entries are told as `before`, beyond it as `after`.
local function read_set(set, split, before, after)
  local from = rank(set)
  local found = redis.call('ZRANGE', set, from, from + left - 1, 'WITHSCORES')
  local ids, ages, first_after = {}, {}, nil
  for i = 1, #found, 2 do
    local score = tonumber(found[i + 1])
    if found[i] ~= ANCHOR then
      ids[#ids + 1] = found[i]
      if score > split then
        first_after = first_after or #ids
      else
        ages[#ids] = now - score
      end
      position, last = found[i + 1], found[i]
    end
  end
  first_after = first_after or #ids + 1
  tell(before, ids, 1, first_after - 1, before == 'expired' and ages or nil)
  tell(after, ids, first_after, #ids)
  -- Without the anchor, which stands last: a page of it alone would never end.
  left = left - #ids
end

local function read_list(list)
  local read = tonumber(position)
  local ids = redis.call('LRANGE', list, -(read + left), -(read + 1))
  tell('ready', ids, 1, #ids)
  position, left = read + #ids, left - #ids
end

while kind <= kinds do
  if section == 1 then
    read_set(key(kind, DUE), now * 10 + 9, 'ready', 'delayed')
  elseif section == 2 then
    read_set(key(kind, SUSPECT), math.huge, 'ready')
  elseif section == LEASED then
    read_set(key(kind, EXPIRY), now, 'expired', 'leased')
  else
    read_list(key(kind, READY + section - 3))
  end
  -- With room left there is nothing left in this section; without, there may be.
  if left == 0 then break end
  kind, section = kind + math.floor(section / LEASED), section % LEASED + 1
  position, last = 0, ''
end
reply[1], reply[2], reply[3], reply[4] = kind, section, position, last
return reply
