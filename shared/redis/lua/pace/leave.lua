#!lua flags=allow-oom
-- leave: takes a permit back, and counts what its call has shown.
--
-- KEYS   pace/prelude.lua
-- ARGV   [3] permit: as in permits, [4] epoch, [5] since_us, [6] chance: 0 to 65,535,
--        [7] 'works' | 'fault' | 'unknown', [8] pause_us that the destination asked for, or '', from [9] on the rules
-- reply  'not held', 'done', or what the breaker changed to: 'open', 'closed'
local held, epoch, since, chance = ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local verdict, pause, rules = ARGV[7], tonumber(ARGV[8]), rules_at(9)
forget_what_is_over()
if redis.call('ZREM', PERMITS, held) == 0 then return 'not held' end
redis.call('ZREM', PROBES, held)
local state = load()

local function open()
  local length = math.min(rules.open_base * 2 ^ math.min(state.openings, 30), rules.open_cap)
  state.open_until = now + div(length * (800 + div(chance * 400, 65536)), 1000)
  state.openings = state.openings + 1
  change(state, 'open')
  return 'open'
end

local function new_window()
  state.window_from, state.window_calls, state.window_failures = now, 0, 0
end

local function count(works)
  if state.breaker == 'half-open' and works then
    state.failures, state.openings = 0, 0
    new_window()
    change(state, 'closed')
    return 'closed'
  elseif state.breaker == 'half-open' then
    state.failures = state.failures + 1
    return open()
  elseif state.breaker == 'closed' then
    if now >= state.window_from + rules.window then new_window() end
    state.window_calls = state.window_calls + 1
    if works then
      state.failures = 0
    else
      state.failures, state.window_failures = state.failures + 1, state.window_failures + 1
    end
    local too_often = state.window_calls >= rules.window_calls
      and state.window_failures * 100 >= state.window_calls * rules.window_percent
    if not works and (state.failures >= rules.failures or too_often) then return open() end
  end
  return 'done'
end

state.last_left = now
local reply = 'done'
if verdict ~= 'unknown' then
  local took = math.max(0, now - since)
  state.hold = state.hold == 0 and took or state.hold - div(state.hold, 8) + div(took, 8)
  if pause then state.asked_until = math.max(state.asked_until, now + math.min(pause, rules.open_cap)) end
  if epoch == state.epoch then reply = count(verdict == 'works') end
end
save(state)
return reply
