-- Gives jobs the outcome `cancelled`. $1: the tenant; $2: their ids, sorted; $3, $4: the lowest and the highest of
-- them; $5: when. Returns a row per job of the tenant and whether this statement ended it. No row: the tenant has no
-- such job.
WITH found AS MATERIALIZED (
    SELECT asked.id
    FROM unnest($2::uuid[]) AS asked (id)
    CROSS JOIN LATERAL (
        SELECT FROM haul.job WHERE id = asked.id AND id BETWEEN $3 AND $4 AND tenant = $1 LIMIT 1
    ) AS job
), ended AS (
    INSERT INTO haul.outcome (id, finished_at, attempt, state, tenant)
    SELECT found.id, $5, failed.attempts, 3, $1
    FROM found
    CROSS JOIN LATERAL (
        SELECT count(*)::integer AS attempts FROM haul.failure WHERE job = found.id AND job BETWEEN $3 AND $4
    ) AS failed
    ON CONFLICT (id) DO NOTHING
    RETURNING id
)
SELECT found.id AS "id!", ended.id IS NOT NULL AS "now!" FROM found LEFT JOIN ended ON ended.id = found.id
