-- How many payments are unknown, and when the one of them that changed longest ago did. $1: how many are looked at, the
-- first in order of id. Always one row.
SELECT count(*) AS "count!", min(updated_at) AS oldest
FROM (SELECT updated_at FROM haul.payment WHERE state = 'unknown' ORDER BY id LIMIT $1) AS seen
