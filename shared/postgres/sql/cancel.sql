-- Gives jobs the outcome `cancelled`. $1: the tenant; $2: their ids, sorted; $3, $4: the lowest and the highest of
-- them; $5: when. Returns a row per job of the tenant, whether this statement ended it, and whether it sends for a payment.
-- No row: the tenant has no such job.
WITH found AS MATERIALIZED (
    SELECT asked.id
    FROM unnest($2::uuid[]) AS asked (id)
    CROSS JOIN LATERAL (
        SELECT FROM haul.job WHERE id = asked.id AND id BETWEEN $3 AND $4 AND tenant = $1 LIMIT 1
    ) AS job
), held AS MATERIALIZED (
    -- Locked: a job that begins to send at this moment is waited for, and then seen as it is. See docs/decisions/0152.
    SELECT job AS id, has_sent FROM haul.payment_job WHERE job = ANY ($2) ORDER BY job FOR UPDATE
), ended AS (
    INSERT INTO haul.outcome (id, finished_at, attempt, state, tenant)
    SELECT found.id, $5, failed.attempts, 3, $1
    FROM found
    LEFT JOIN held ON held.id = found.id
    CROSS JOIN LATERAL (
        SELECT count(*)::integer AS attempts FROM haul.failure WHERE job = found.id AND job BETWEEN $3 AND $4
    ) AS failed
    WHERE held.has_sent IS NOT TRUE
    ON CONFLICT (id) DO NOTHING
    RETURNING id
)
SELECT found.id AS "id!", ended.id IS NOT NULL AS "now!", coalesce(held.has_sent, false) AS "has_sent!"
FROM found LEFT JOIN ended ON ended.id = found.id LEFT JOIN held ON held.id = found.id
