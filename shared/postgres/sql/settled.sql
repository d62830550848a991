-- Which jobs have ended. $1: their ids; $2, $3: the lowest and the highest of them. No row: it has not ended.
SELECT asked.id AS "id!", outcome.state AS "state!"
FROM unnest($1::uuid[]) AS asked (id)
CROSS JOIN LATERAL (
    SELECT state FROM haul.every_outcome WHERE id = asked.id AND id BETWEEN $2 AND $3 LIMIT 1
) AS outcome
