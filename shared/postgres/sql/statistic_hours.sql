-- The hours of a queue. $1: tenant; $2: queue; $3: kind, or null for all; $4: from; $5: to; $6: limit.
SELECT hour, sum(accepted)::bigint AS "accepted!", sum(succeeded)::bigint AS "succeeded!", sum(dead)::bigint AS "dead!",
    sum(cancelled)::bigint AS "cancelled!", sum(failures)::bigint AS "failures!",
    sum(took_ms_sum)::bigint AS "took_ms_sum!", max(took_ms_max) AS "took_ms_max!"
FROM haul.statistic
WHERE tenant = $1 AND queue = $2 AND hour >= $4 AND hour < $5 AND ($3::text IS NULL OR kind = $3)
GROUP BY hour
ORDER BY hour
LIMIT $6
