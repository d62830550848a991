-- Processes that were heard of within 15 s, in order of id. $1: those after this one; $2: how many at most.
-- No row: there are no more.
SELECT id, role, since, alive_at, about FROM haul.process
WHERE id > $1 AND alive_at > now() - interval '15 seconds'
ORDER BY id
LIMIT $2
