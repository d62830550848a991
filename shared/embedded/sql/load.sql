-- Jobs as a worker needs them. ?1: their ids, a JSON array of hex. No row: there is no such job.
SELECT job.id AS "id: Uuid", job.run_at, job.priority, job.tenant, job.queue, job.kind, job.payload, job.options,
    outcome.state AS "state?: i64",
    (SELECT count(*) FROM failure WHERE failure.job = job.id) AS "failures!: i64",
    (SELECT count(*) FROM failure WHERE failure.job = job.id AND crashed) AS "crashes!: i64",
    (SELECT retry_at FROM failure WHERE failure.job = job.id ORDER BY attempt DESC LIMIT 1) AS "retry_at?: i64"
FROM json_each(?1) AS asked
CROSS JOIN job ON job.id = unhex(asked.value)
LEFT JOIN outcome ON outcome.id = job.id
