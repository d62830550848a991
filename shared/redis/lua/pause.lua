#!lua flags=allow-oom
-- pause: pauses or resumes the queue. Resuming wakes its idle workers.
--
-- KEYS   prelude.lua
-- ARGV   'paused' or 'running'
-- reply  'ok'
if ARGV[1] == 'paused' then
  redis.call('HSET', STATE, 'paused', 1)
else
  redis.call('HDEL', STATE, 'paused')
  wake(ALL_IDLE, 1000)
end
return 'ok'
