#!lua flags=allow-oom
-- finish_rebuild: sets what the ledger says of the queue, lets claims begin and wakes idle workers.
--
-- KEYS   prelude.lua
-- ARGV   token, 'paused' or 'running'
-- reply  'ok', or 'expired' when the right was lost; then nothing was done
if redis.call('GET', REBUILD) ~= right(ARGV[1]) then
  return 'expired'
end
redis.call('DEL', REBUILD)
redis.call('DEL', STATE)
redis.call('HSET', STATE, 'marker', run_id(), 'slots', counted)
if ARGV[2] == 'paused' then
  redis.call('HSET', STATE, 'paused', 1)
else
  wake(ALL_IDLE, 1000)
end
return 'ok'
