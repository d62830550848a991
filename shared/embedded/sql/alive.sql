-- Processes that were heard of since ?2, in order of id. ?1: those after this one; ?3: how many at most.
-- No row: there are no more.
SELECT id AS "id: Uuid", role, since, alive_at, about FROM process
WHERE id > ?1 AND alive_at > ?2
ORDER BY id
LIMIT ?3
