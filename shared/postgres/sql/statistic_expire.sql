-- Forgets hours. $1: those before this one; $2: rows at most.
DELETE FROM haul.statistic WHERE (tenant, queue, hour, kind) IN (
    SELECT tenant, queue, hour, kind FROM haul.statistic WHERE hour < $1 ORDER BY hour LIMIT $2 FOR UPDATE SKIP LOCKED
)
