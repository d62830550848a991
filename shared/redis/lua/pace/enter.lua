#!lua
-- enter: lets a call through, or gives it a time in the line.
--
-- KEYS   pace/prelude.lua
-- ARGV   [3] job: 16 bytes, [4] permit: its id, [5] chance: 0 to 65,535, from [6] on the rules
-- reply  'go', epoch, since_us, 'p' for a probe or '-'
--        'wait', wait_us, and why: open, probing, asked, busy, rate, line
local job, permit, chance, rules = ARGV[3], ARGV[4], tonumber(ARGV[5]), rules_at(6)
local state = load()

-- From when on a call could go through, and why not now.
local function refuses(in_flight)
  local quiet = math.max(0, now - math.max(state.last_left, state.changed))
  local patience = now + math.min(math.max(quiet, PATIENCE_MIN), PATIENCE_MAX)
  local bucket_free = state.full_at - rules.interval * (rules.burst - 1)
  if state.breaker == 'open' then return state.open_until, 'open' end
  if state.asked_until > now then return state.asked_until, 'asked' end
  if state.breaker == 'half-open' and redis.call('ZCARD', PROBES) >= rules.probes then return patience, 'probing' end
  if in_flight >= rules.in_flight then return patience, 'busy' end
  if bucket_free > now then return bucket_free, 'rate' end
end

local function wait(from, why, keeps)
  if keeps then
    redis.call('ZADD', LINE, from, job)
    return { 'wait', from - now, why }
  end
  local slowest = math.max(div(SECOND, rules.returns), SPACING_MIN)
  local spacing = slowest
  if why == 'rate' then
    spacing = SPACING_MIN
  elseif why == 'busy' or why == 'line' then
    spacing = math.min(math.max(div(state.hold, rules.in_flight), SPACING_MIN), slowest)
  end
  spacing = math.max(spacing, rules.interval)
  local slot = state.tail > now and math.max(from, state.tail + spacing) or from
  if slot > from + LINE_US or redis.call('ZCARD', LINE) >= LINE_JOBS then
    redis.call('ZREM', LINE, job)
    local half = div(LINE_US, 2)
    return { 'wait', from + half + div(half, 65536) * chance - now, why }
  end
  state.tail = slot
  redis.call('ZADD', LINE, slot, job)
  return { 'wait', slot - now, why }
end

local function enter()
  forget_what_is_over()
  if state.breaker == 'open' and now >= state.open_until then change(state, 'half-open') end
  local in_flight = redis.call('ZCARD', PERMITS)
  local own = tonumber(redis.call('ZSCORE', LINE, job) or nil)
  local from, why = refuses(in_flight)
  if own and own > now + EARLY then return { 'wait', own - now, why or 'line' } end
  if from then
    return wait(from, why, own and why == 'rate' and from - now <= rules.interval)
  end
  local has_room = rules.rate == 0 and in_flight * 2 < rules.in_flight
  if not own and state.tail > now and not has_room then return wait(now, 'line', false) end
  local flag = state.breaker == 'half-open' and 'p' or '-'
  local held = table.concat({ permit, text(state.epoch), text(now), flag }, ' ')
  redis.call('ZADD', PERMITS, now + rules.permit, held)
  if flag == 'p' then redis.call('ZADD', PROBES, now + rules.permit, held) end
  state.full_at = math.max(state.full_at, now) + rules.interval
  redis.call('ZREM', LINE, job)
  return { 'go', state.epoch, now, flag }
end

local reply = enter()
save(state)
return reply
