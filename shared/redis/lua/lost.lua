#!lua flags=no-writes
-- lost: which slots need a rebuild: they have no marker, or this server is not the one that they were rebuilt on.
--
-- KEYS   the state of each slot (of one slot only on Redis Cluster)
-- ARGV   none
-- reply  for each slot 'lost' or 'kept', then over how many slots its queue is split; 0 when it does not know
local here, answers = run_id(), {}
for i, slot in ipairs(KEYS) do
  local slots, marker = unpack(redis.call('HMGET', slot, 'slots', 'marker'))
  answers[2 * i - 1] = marker == here and 'kept' or 'lost'
  answers[2 * i] = tonumber(slots) or 0
end
return answers
