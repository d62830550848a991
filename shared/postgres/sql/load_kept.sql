-- `load` of jobs that outlive their day. $1: their ids. No row: there is no such job.
SELECT job.id AS "id!", job.run_at AS "run_at!", job.priority AS "priority!", job.tenant AS "tenant!",
    job.queue AS "queue!", job.kind AS "kind!", job.payload AS "payload!", job.options,
    outcome.state AS "state?", failed.failures AS "failures?", failed.crashes AS "crashes?",
    failed.retry_at AS "retry_at?"
FROM unnest($1::uuid[]) AS asked (id)
CROSS JOIN LATERAL (
    SELECT * FROM haul.kept_job WHERE id = asked.id LIMIT 1
) AS job
LEFT JOIN LATERAL (
    SELECT state FROM haul.kept_outcome WHERE id = asked.id LIMIT 1
) AS outcome ON true
LEFT JOIN LATERAL (
    SELECT count(*) OVER () AS failures, count(*) FILTER (WHERE crashed) OVER () AS crashes, retry_at
    FROM haul.kept_failure WHERE job = asked.id ORDER BY attempt DESC LIMIT 1
) AS failed ON true
