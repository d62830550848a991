-- `cancel` of jobs that outlive their day. $1: the tenant; $2: their ids, sorted; $3: when. Returns a row per job of the
-- tenant and whether this statement ended it. No row: no such job is kept.
WITH found AS MATERIALIZED (
    -- Locked, so that one whose time is over does not go meanwhile.
    SELECT job.id FROM haul.kept_job AS job WHERE job.id = ANY ($2::uuid[]) AND job.tenant = $1
    ORDER BY job.id FOR KEY SHARE
), ended AS (
    INSERT INTO haul.kept_outcome (id, finished_at, attempt, state, tenant)
    SELECT found.id, $3, (SELECT count(*)::integer FROM haul.kept_failure WHERE job = found.id), 3, $1
    FROM found
    ON CONFLICT (id) DO NOTHING
    RETURNING id
)
SELECT found.id AS "id!", ended.id IS NOT NULL AS "now!" FROM found LEFT JOIN ended ON ended.id = found.id
