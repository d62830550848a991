-- The first job from an id on. $1: the id. No row: there is none.
SELECT id FROM haul.job WHERE id >= $1 ORDER BY id LIMIT 1
