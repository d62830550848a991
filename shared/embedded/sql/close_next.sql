-- The first job that is not closed. ?1: from this id on; ?2: before this one. No row: there is none.
SELECT id AS "id: Uuid" FROM job WHERE id >= ?1 AND id < ?2 ORDER BY id LIMIT 1
