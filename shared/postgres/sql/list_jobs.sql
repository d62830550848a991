-- Jobs of a tenant, newest first. $1, $2: from below this id down to this one; $3: tenant; $4: queue, $5: kind, null
-- for any; $6: a text that the options must hold, null for any; $7: only those that have not ended; $8: how many at
-- most.
SELECT job.id AS "id!", job.options
FROM haul.every_job AS job
WHERE job.id < $1 AND job.id >= $2 AND job.tenant = $3
    AND ($4::text IS NULL OR job.queue = $4) AND ($5::text IS NULL OR job.kind = $5)
    AND ($6::text IS NULL OR strpos(job.options, $6) > 0)
    AND NOT ($7 AND EXISTS (
        SELECT FROM haul.every_outcome AS outcome WHERE outcome.id = job.id AND outcome.id < $1 AND outcome.id >= $2 OFFSET 0))
ORDER BY job.id DESC
LIMIT $8
