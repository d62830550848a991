-- How many kinds a queue has in all, and how many of the ones asked for. $1: tenant; $2: queue; $3: kinds.
SELECT count(*) AS "known!", count(*) FILTER (WHERE kind = ANY ($3::text[])) AS "asked!"
FROM haul.queue_kind WHERE tenant = $1 AND queue = $2
