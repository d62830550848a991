-- Jobs of a tenant that ended in one way, newest first. $1, $2: from below this id down to this one; $3: tenant; $4:
-- queue, $5: kind, null for any; $6: a text that the options must hold, null for any; $7: state; $8: how many at most.
SELECT outcome.id AS "id!", job.options
FROM haul.every_outcome AS outcome
CROSS JOIN LATERAL (
    SELECT queue, kind, options FROM haul.every_job AS job
    WHERE job.id = outcome.id AND job.id < $1 AND job.id >= $2 LIMIT 1
) AS job
WHERE outcome.tenant = $3 AND outcome.state = $7 AND outcome.id < $1 AND outcome.id >= $2
    AND ($4::text IS NULL OR job.queue = $4) AND ($5::text IS NULL OR job.kind = $5)
    AND ($6::text IS NULL OR strpos(job.options, $6) > 0)
ORDER BY outcome.id DESC
LIMIT $8
