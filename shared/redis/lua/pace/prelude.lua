-- Shared by the scripts of pace: a destination's keys, its state, and the steps that more than one operation takes. The
-- rules are those of haul_core::pace::machine, name by name; a change there is a change here. It is put in front of each
-- script, after its `#!lua` line.
--
-- KEYS   [1] state    hash: the numbers of machine::State under the same names, and breaker: a word
--        [2] permits  sorted set: '<id> <epoch> <since> <p or ->', p for a probe's, by when they expire
--        [3] probes   sorted set: those of them that are probes of the current epoch
--        [4] line     sorted set: ids of jobs, 16 bytes each, by when they come
--        All carry the same hash tag, {the destination}, and expire when nobody has touched them for long.
--
-- ARGV   [1] now_us: '' for the server's clock; a test passes its own
--        [2] ttl_ms: for how long the state is kept
--        then those of the operation; the last one is of no use here
--
-- Times are whole microseconds: a double holds them exactly, but `..` does not write them so. Hence `text`.
local STATE, PERMITS, PROBES, LINE = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local SECOND, EARLY, LATE = 1000000, 100000, 60000000
local PATIENCE_MIN, PATIENCE_MAX, SPACING_MIN = 10000, 10000000, 100
local LINE_US, LINE_JOBS = 600000000, 100000

local NUMBERS = {
  'epoch', 'changed', 'failures', 'openings', 'open_until', 'asked_until', 'window_from', 'window_calls',
  'window_failures', 'full_at', 'hold', 'last_left', 'tail',
}
local RULES = {
  'failures', 'window', 'window_calls', 'window_percent', 'open_base', 'open_cap', 'probes', 'rate', 'burst',
  'in_flight', 'returns', 'permit',
}

local function text(number)
  return string.format('%.0f', number)
end

local function div(number, by)
  return math.floor(number / by)
end

local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = time[1] * SECOND + time[2]
end

-- The rules, which ARGV lists from `at` on.
local function rules_at(at)
  local rules = {}
  for i, name in ipairs(RULES) do
    rules[name] = tonumber(ARGV[at + i - 1])
  end
  rules.interval = rules.rate == 0 and 0 or div(SECOND, rules.rate)
  return rules
end

local function load()
  local found = redis.call('HMGET', STATE, 'breaker', unpack(NUMBERS))
  local state = { is_known = found[1] and true or false, breaker = found[1] or 'closed' }
  for i, name in ipairs(NUMBERS) do
    state[name] = tonumber(found[i + 1] or 0)
  end
  if not state.is_known then
    state.changed, state.last_left, state.window_from = now, now, now
  end
  return state
end

local function save(state)
  local pairs = { 'breaker', state.breaker }
  for _, name in ipairs(NUMBERS) do
    pairs[#pairs + 1], pairs[#pairs + 2] = name, text(state[name])
  end
  redis.call('HSET', STATE, unpack(pairs))
  for _, key in ipairs(KEYS) do
    redis.call('PEXPIRE', key, ARGV[2])
  end
end

local function forget_what_is_over()
  redis.call('ZREMRANGEBYSCORE', PERMITS, '-inf', text(now))
  redis.call('ZREMRANGEBYSCORE', PROBES, '-inf', text(now))
  redis.call('ZREMRANGEBYSCORE', LINE, '-inf', text(now - LATE))
end

local function change(state, to)
  state.breaker, state.epoch, state.changed = to, state.epoch + 1, now
  redis.call('DEL', PROBES)
end
