-- Moves schedules on.
--
-- ?1: rows as JSON arrays of id, where to, when it is due then, the last of its jobs, how many these are, why it cannot
-- fire; where id is an offset into ?2, and where to, job and why are two elements each, offset and length in ?2 (null:
-- none).
UPDATE schedule
SET fired_through = step.target, next_at = step.next_at, last_job = coalesce(step.last_job, schedule.last_job),
    runs = runs + step.jobs, problem = step.problem
FROM (
    SELECT substr(?2, value ->> 0, 16) AS id, CAST(substr(?2, value ->> 1, value ->> 2) AS TEXT) AS target,
        value ->> 3 AS next_at, substr(?2, value ->> 4, value ->> 5) AS last_job, value ->> 6 AS jobs,
        CAST(substr(?2, value ->> 7, value ->> 8) AS TEXT) AS problem
    FROM jsonb_each(?1)
) AS step
WHERE schedule.id = step.id
