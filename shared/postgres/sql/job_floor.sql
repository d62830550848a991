-- Where a bounded look back over jobs ends. $1, $2: from below this id down to this one; $3: how many to pass over.
-- No row: there are no more than that.
SELECT id FROM haul.job WHERE id < $1 AND id >= $2 ORDER BY id DESC OFFSET $3 LIMIT 1
