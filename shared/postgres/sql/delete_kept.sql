-- Deletes jobs that have outlived their day and whose own time is over. $1: the first id that is kept; $2: when they must
-- have ended before; $3: how many at most. Returns how many these were.
WITH chosen AS (
    SELECT job.id
    FROM haul.kept_job AS job JOIN haul.kept_outcome AS outcome ON outcome.id = job.id
    WHERE job.id < $1 AND outcome.finished_at < $2
    ORDER BY job.id LIMIT $3
    FOR UPDATE OF job SKIP LOCKED
), outcomes AS (
    DELETE FROM haul.kept_outcome WHERE id IN (SELECT id FROM chosen)
), failures AS (
    DELETE FROM haul.kept_failure WHERE job IN (SELECT id FROM chosen)
), jobs AS (
    DELETE FROM haul.kept_job WHERE id IN (SELECT id FROM chosen) RETURNING id
)
SELECT count(*) AS "deleted!" FROM jobs
