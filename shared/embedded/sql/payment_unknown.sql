-- How many payments are unknown, and when the one of them that changed longest ago did. ?1: how many are looked at, the
-- first in order of id. Always one row.
SELECT count(*) AS "count!: i64", min(updated_at) AS "oldest: i64"
FROM (SELECT updated_at FROM payment WHERE state = 'unknown' ORDER BY id LIMIT ?1)
