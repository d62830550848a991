-- The failed attempts of a job, oldest first. ?1: its id.
SELECT attempt, at, retry_at, error, error_detail, crashed AS "crashed: bool" FROM failure WHERE job = ?1 ORDER BY attempt
