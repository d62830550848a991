-- Unsettled jobs of closed history. ?1: after this id; ?2: up to and including this one; ?3: how many at most.
SELECT job.id AS "id: Uuid", job.tenant, job.queue, job.kind, job.priority,
    coalesce((SELECT retry_at FROM failure WHERE failure.job = job.id ORDER BY attempt DESC LIMIT 1), job.run_at)
        AS "due!: i64"
FROM straggler
CROSS JOIN job ON job.id = straggler.id
WHERE straggler.id > ?1 AND straggler.id <= ?2
ORDER BY straggler.id
LIMIT ?3
