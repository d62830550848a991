-- What is due, the longest overdue first. $1: now; $2: how many at most.
SELECT id, version, fired_through, next_at, last_job, runs
FROM haul.schedule
WHERE NOT paused AND next_at IS NOT NULL AND next_at <= $1
ORDER BY next_at LIMIT $2
