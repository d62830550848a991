-- The next jobs of a minute: the last of them, and how many they are.
-- ?1: from this id on; ?2: before this one; ?3: how many at most.
SELECT max(id) AS "last: Uuid", count(*) AS "jobs!: i64"
FROM (SELECT id FROM job WHERE id >= ?1 AND id < ?2 ORDER BY id LIMIT ?3)
