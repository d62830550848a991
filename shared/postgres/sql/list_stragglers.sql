-- Those of some jobs that match and have not ended, newest first. $1: their ids; $2, $3: the lowest and the highest of
-- them; $4: tenant; $5: queue, $6: kind, null for any; $7: a text that the options must hold, null for any; $8: how
-- many at most.
SELECT asked.id AS "id!", job.options
FROM unnest($1::uuid[]) AS asked (id)
CROSS JOIN LATERAL (
    SELECT tenant, queue, kind, options FROM haul.every_job WHERE id = asked.id AND id BETWEEN $2 AND $3 LIMIT 1
) AS job
LEFT JOIN LATERAL (
    SELECT id FROM haul.every_outcome WHERE id = asked.id AND id BETWEEN $2 AND $3 LIMIT 1
) AS outcome ON true
WHERE outcome.id IS NULL AND job.tenant = $4
    AND ($5::text IS NULL OR job.queue = $5) AND ($6::text IS NULL OR job.kind = $6)
    AND ($7::text IS NULL OR strpos(job.options, $7) > 0)
ORDER BY asked.id DESC
LIMIT $8
