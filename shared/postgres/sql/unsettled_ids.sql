-- Jobs without an outcome in a stretch, in order. $1, $2: after this id, up to and including this one; $3: how many at
-- most.
(
    SELECT job.id AS "id!"
    FROM haul.job
    LEFT JOIN (SELECT id FROM haul.outcome WHERE id > $1 AND id <= $2) AS outcome ON outcome.id = job.id
    WHERE job.id > $1 AND job.id <= $2 AND outcome.id IS NULL
    ORDER BY job.id
    LIMIT $3
) UNION ALL (
    SELECT job.id
    FROM haul.kept_job AS job
    LEFT JOIN (SELECT id FROM haul.kept_outcome WHERE id > $1 AND id <= $2) AS outcome ON outcome.id = job.id
    WHERE job.id > $1 AND job.id <= $2 AND outcome.id IS NULL
    ORDER BY job.id
    LIMIT $3
)
ORDER BY 1
LIMIT $3
