-- Which of a tenant's jobs take no more records: they have an outcome, or there is no such job.
--
-- ?1: their ids, a JSON array of hex; ?2: the tenant.
SELECT unhex(value) AS "id!: Uuid"
FROM json_each(?1)
WHERE EXISTS (SELECT 1 FROM outcome WHERE outcome.id = unhex(value))
    OR NOT EXISTS (SELECT 1 FROM job WHERE job.id = unhex(value) AND job.tenant = ?2)
