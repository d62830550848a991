-- The failed attempts of a job, oldest first. $1: its id.
SELECT attempt AS "attempt!", at AS "at!", retry_at AS "retry_at!", error AS "error!", error_detail, crashed AS "crashed!"
FROM haul.every_failure WHERE job = $1 ORDER BY attempt
