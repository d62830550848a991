-- How many queues a tenant has without, and how many with the ones that it asks for. $1: tenant; $2: names.
SELECT count(*) AS "known!", count(*) FILTER (WHERE name = ANY ($2::text[])) AS "asked!"
FROM haul.queue WHERE tenant = $1
