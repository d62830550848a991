-- `job_records` of jobs that outlive their day. $1: tenant; $2: ids. No row: the tenant has no such job.
SELECT job.id AS "id!", job.run_at AS "run_at!", job.priority AS "priority!", job.tenant AS "tenant!",
    job.queue AS "queue!", job.kind AS "kind!", job.payload AS "payload!", job.options,
    outcome.state AS "state?", outcome.attempt AS "attempt?", outcome.finished_at AS "finished_at?", outcome.result,
    outcome.error AS "error?", outcome.error_detail,
    failed.failures AS "failures?", failed.attempt AS "failed_attempt?", failed.at AS "failed_at?",
    failed.retry_at AS "retry_at?", failed.error AS "failed_error?", failed.error_detail AS failed_detail,
    failed.crashed AS "crashed?"
FROM unnest($2::uuid[]) AS asked (id)
CROSS JOIN LATERAL (
    SELECT * FROM haul.kept_job WHERE id = asked.id AND tenant = $1 LIMIT 1
) AS job
LEFT JOIN LATERAL (
    SELECT * FROM haul.kept_outcome WHERE id = asked.id LIMIT 1
) AS outcome ON true
LEFT JOIN LATERAL (
    SELECT count(*) OVER () AS failures, failure.* FROM haul.kept_failure AS failure
    WHERE job = asked.id ORDER BY attempt DESC LIMIT 1
) AS failed ON true
