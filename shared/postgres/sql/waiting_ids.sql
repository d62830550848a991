-- Which jobs exist and have no outcome. $1: their ids; $2, $3: the lowest and the highest of them.
SELECT asked.id AS "id!"
FROM unnest($1::uuid[]) AS asked (id)
CROSS JOIN LATERAL (
    SELECT FROM haul.every_job WHERE id = asked.id AND id BETWEEN $2 AND $3 LIMIT 1
) AS job
LEFT JOIN LATERAL (
    SELECT id FROM haul.every_outcome WHERE id = asked.id AND id BETWEEN $2 AND $3 LIMIT 1
) AS outcome ON true
WHERE outcome.id IS NULL
