-- Stragglers in order. $1, $2: after this id, up to and including this one; $3: how many at most.
SELECT id FROM haul.straggler WHERE id > $1 AND id <= $2 ORDER BY id LIMIT $3
