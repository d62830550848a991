-- Stragglers in reverse order. $1, $2: from below this id down to this one; $3: how many at most.
SELECT id FROM haul.straggler WHERE id < $1 AND id >= $2 ORDER BY id DESC LIMIT $3
