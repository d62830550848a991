-- The failed attempts of jobs. ?1: the jobs' ids, a JSON array of hex.
SELECT failure.job AS "job: Uuid", failure.attempt AS "attempt!"
FROM json_each(?1) AS asked
CROSS JOIN failure ON failure.job = unhex(asked.value)
