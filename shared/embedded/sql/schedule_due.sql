-- What is due, the longest overdue first. ?1: now; ?2: how many at most.
SELECT id AS "id: Uuid", version, fired_through, next_at, last_job AS "last_job: Uuid", runs
FROM schedule WHERE paused = 0 AND next_at IS NOT NULL AND next_at <= ?1
ORDER BY next_at LIMIT ?2
