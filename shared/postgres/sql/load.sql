-- Jobs as a worker needs them. $1: their ids; $2, $3: the lowest and the highest of them. No row: there is no such job.
--
-- The bounds let the planner drop the other partitions. Each LIMIT keeps a subquery from being joined in any other way
-- than by one index probe per id: see docs/decisions/0011.
SELECT job.id AS "id!", job.run_at AS "run_at!", job.priority AS "priority!", job.tenant AS "tenant!",
    job.queue AS "queue!", job.kind AS "kind!", job.payload AS "payload!", job.options,
    outcome.state AS "state?", failed.failures AS "failures?", failed.crashes AS "crashes?",
    failed.retry_at AS "retry_at?"
FROM unnest($1::uuid[]) AS asked (id)
CROSS JOIN LATERAL (
    SELECT * FROM haul.job WHERE id = asked.id AND id BETWEEN $2 AND $3 LIMIT 1
) AS job
LEFT JOIN LATERAL (
    SELECT state FROM haul.outcome WHERE id = asked.id AND id BETWEEN $2 AND $3 LIMIT 1
) AS outcome ON true
LEFT JOIN LATERAL (
    SELECT count(*) OVER () AS failures, count(*) FILTER (WHERE crashed) OVER () AS crashes, retry_at
    FROM haul.failure WHERE job = asked.id AND job BETWEEN $2 AND $3 ORDER BY attempt DESC LIMIT 1
) AS failed ON true
