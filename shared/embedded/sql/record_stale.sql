-- Which jobs take no more records: they have an outcome, or the tenant has no such job.
--
-- ?1: rows as JSON arrays of id and tenant, the id as an offset into ?2.
SELECT substr(?2, value ->> 0, 16) AS "id!: Uuid"
FROM json_each(?1)
WHERE EXISTS (SELECT 1 FROM outcome WHERE outcome.id = substr(?2, value ->> 0, 16))
    OR NOT EXISTS (SELECT 1 FROM job WHERE job.id = substr(?2, value ->> 0, 16) AND job.tenant = value ->> 1)
