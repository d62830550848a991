-- Everything about jobs, with the latest failure of each. $1: tenant; $2: ids; $3, $4: the lowest and the highest of
-- them. No row: the tenant has no such job.
SELECT job.id AS "id!", job.run_at AS "run_at!", job.priority AS "priority!", job.tenant AS "tenant!",
    job.queue AS "queue!", job.kind AS "kind!", job.payload AS "payload!", job.options,
    outcome.state AS "state?", outcome.attempt AS "attempt?", outcome.finished_at AS "finished_at?", outcome.result,
    outcome.error AS "error?", outcome.error_detail,
    failed.failures AS "failures?", failed.attempt AS "failed_attempt?", failed.at AS "failed_at?",
    failed.retry_at AS "retry_at?", failed.error AS "failed_error?", failed.error_detail AS failed_detail,
    failed.crashed AS "crashed?"
FROM unnest($2::uuid[]) AS asked (id)
CROSS JOIN LATERAL (
    SELECT * FROM haul.job WHERE id = asked.id AND id BETWEEN $3 AND $4 AND tenant = $1 LIMIT 1
) AS job
LEFT JOIN LATERAL (
    SELECT * FROM haul.outcome WHERE id = asked.id AND id BETWEEN $3 AND $4 LIMIT 1
) AS outcome ON true
LEFT JOIN LATERAL (
    SELECT count(*) OVER () AS failures, failure.* FROM haul.failure
    WHERE job = asked.id AND job BETWEEN $3 AND $4 ORDER BY attempt DESC LIMIT 1
) AS failed ON true
