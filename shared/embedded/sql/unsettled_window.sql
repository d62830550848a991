-- The next candidates of a range of ids: the last of them, and how many they are.
-- ?1: after this id; ?2: up to and including this one; ?3: how many at most.
SELECT max(id) AS "last: Uuid", count(*) AS "candidates!: i64"
FROM (SELECT id FROM job WHERE id > ?1 AND id <= ?2 ORDER BY id LIMIT ?3)
