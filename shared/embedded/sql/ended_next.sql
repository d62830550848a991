-- The next jobs that have ended. ?1: from this id on; ?2: before this one; ?3: how many at most.
SELECT id AS "id: Uuid", finished_at FROM outcome WHERE id >= ?1 AND id < ?2 ORDER BY id LIMIT ?3
