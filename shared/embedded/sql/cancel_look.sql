-- What cancelling needs to know of a tenant's jobs. ?1: their ids, a JSON array of hex; ?2: tenant.
-- No row: the tenant has no such job.
SELECT job.id AS "id: Uuid", outcome.state AS "state?: i64",
    (SELECT count(*) FROM failure WHERE failure.job = job.id) AS "failures!: i64",
    EXISTS (SELECT 1 FROM payment_job WHERE payment_job.job = job.id AND has_sent = 1) AS "has_sent!: bool"
FROM json_each(?1) AS asked
CROSS JOIN job ON job.id = unhex(asked.value) AND job.tenant = ?2
LEFT JOIN outcome ON outcome.id = job.id
