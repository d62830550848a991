-- What the dispatch needs of jobs. $1: their ids; $2, $3: the lowest and the highest of them. No row: it has ended.
SELECT job.id AS "id!", job.tenant AS "tenant!", job.queue AS "queue!", job.kind AS "kind!",
    job.priority AS "priority!",
    coalesce(failed.retry_at, job.run_at) AS "due!"
FROM unnest($1::uuid[]) AS asked (id)
CROSS JOIN LATERAL (
    SELECT * FROM haul.every_job WHERE id = asked.id AND id BETWEEN $2 AND $3 LIMIT 1
) AS job
LEFT JOIN LATERAL (
    SELECT id FROM haul.every_outcome WHERE id = asked.id AND id BETWEEN $2 AND $3 LIMIT 1
) AS outcome ON true
LEFT JOIN LATERAL (
    SELECT retry_at FROM haul.every_failure WHERE job = asked.id AND job BETWEEN $2 AND $3 ORDER BY attempt DESC LIMIT 1
) AS failed ON true
WHERE outcome.id IS NULL
ORDER BY job.id
