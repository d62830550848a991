#!lua flags=allow-oom
-- configure: pauses or resumes the slot; resuming wakes its idle workers. The slot becomes lost when the queue is to be
-- split over another number of slots than it was rebuilt with.
--
-- KEYS   prelude.lua
-- ARGV   'paused' or 'running', and over how many slots the queue is to be split
-- reply  over how many slots it is split
local slots, marker = unpack(redis.call('HMGET', STATE, 'slots', 'marker'))
slots = slots or '1'
if marker and slots ~= ARGV[2] then
  redis.call('HDEL', STATE, 'marker')
end
if ARGV[1] == 'paused' then
  redis.call('HSET', STATE, 'paused', 1)
elseif redis.call('HDEL', STATE, 'paused') == 1 then
  wake(ALL_IDLE, 1000)
end
return tonumber(slots)
