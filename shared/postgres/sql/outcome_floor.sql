-- Where a bounded look back over the jobs that ended in one way ends. $1: tenant; $2: state; $3, $4: from below this id
-- down to this one; $5: how many to pass over. No row: there are no more than that.
SELECT id FROM haul.outcome WHERE tenant = $1 AND state = $2 AND id < $3 AND id >= $4
ORDER BY id DESC OFFSET $5 LIMIT 1
