#!lua flags=no-writes
-- lost: which queues need a rebuild: they have no marker, or this server is not the one that they were rebuilt on.
--
-- KEYS   the state of each queue (of one queue only on Redis Cluster)
-- ARGV   none
-- reply  for each queue 'lost' or 'kept'
local here, answers = run_id(), {}
for i, state in ipairs(KEYS) do
  answers[i] = redis.call('HGET', state, 'marker') == here and 'kept' or 'lost'
end
return answers
