-- The hours of a queue. ?1: tenant; ?2: queue; ?3: kind, or null for all; ?4: from; ?5: to; ?6: limit.
SELECT hour AS "hour!: i64", sum(accepted) AS "accepted!: i64", sum(succeeded) AS "succeeded!: i64", sum(dead) AS "dead!: i64",
    sum(cancelled) AS "cancelled!: i64", sum(failures) AS "failures!: i64", sum(took_ms_sum) AS "took_ms_sum!: i64",
    max(took_ms_max) AS "took_ms_max!: i64"
FROM statistic
WHERE tenant = ?1 AND queue = ?2 AND hour >= ?4 AND hour < ?5 AND (?3 IS NULL OR kind = ?3)
GROUP BY hour
ORDER BY hour
LIMIT ?6
