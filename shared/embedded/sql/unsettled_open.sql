-- Unsettled jobs of a range that is not closed. ?1: after this id; ?2: up to and including this one; ?3: how many at most.
SELECT job.id AS "id: Uuid", job.tenant, job.queue, job.kind, job.priority,
    coalesce((SELECT retry_at FROM failure WHERE failure.job = job.id ORDER BY attempt DESC LIMIT 1), job.run_at)
        AS "due!: i64"
FROM job
WHERE job.id > ?1 AND job.id <= ?2 AND NOT EXISTS (SELECT 1 FROM outcome WHERE outcome.id = job.id)
ORDER BY job.id
LIMIT ?3
