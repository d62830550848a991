-- Which of these ids are no job's. ?1: ids, a JSON array of hex.
SELECT unhex(asked.value) AS "id!: Uuid" FROM json_each(?1) AS asked
WHERE NOT EXISTS (SELECT 1 FROM job WHERE job.id = unhex(asked.value))
LIMIT 1
