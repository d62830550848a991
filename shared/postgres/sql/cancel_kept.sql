-- `cancel` of jobs that outlive their day. $1: the tenant; $2: their ids, sorted; $3: when. Returns a row per job of the
-- tenant, whether this statement ended it, and whether it sends for a payment. No row: no such job is kept.
WITH found AS MATERIALIZED (
    -- Locked, so that one whose time is over does not go meanwhile.
    SELECT job.id FROM haul.kept_job AS job WHERE job.id = ANY ($2::uuid[]) AND job.tenant = $1
    ORDER BY job.id FOR KEY SHARE
), held AS MATERIALIZED (
    -- As in `cancel`.
    SELECT job AS id, has_sent FROM haul.payment_job WHERE job = ANY ($2) ORDER BY job FOR UPDATE
), ended AS (
    INSERT INTO haul.kept_outcome (id, finished_at, attempt, state, tenant)
    SELECT found.id, $3, (SELECT count(*)::integer FROM haul.kept_failure WHERE job = found.id), 3, $1
    FROM found
    LEFT JOIN held ON held.id = found.id
    WHERE held.has_sent IS NOT TRUE
    ON CONFLICT (id) DO NOTHING
    RETURNING id
)
SELECT found.id AS "id!", ended.id IS NOT NULL AS "now!", coalesce(held.has_sent, false) AS "has_sent!"
FROM found LEFT JOIN ended ON ended.id = found.id LEFT JOIN held ON held.id = found.id
