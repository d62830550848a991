-- Keeps what was counted of an hour. ?1: hour; ?2: tenant; ?3: queue; ?4: kind; ?5 and on: the figures. What retention
-- has dropped since an earlier count does not make it less.
INSERT INTO statistic VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
ON CONFLICT (tenant, queue, hour, kind) DO UPDATE SET accepted = excluded.accepted, succeeded = excluded.succeeded,
    dead = excluded.dead, cancelled = excluded.cancelled, failures = excluded.failures,
    took_ms_sum = excluded.took_ms_sum, took_ms_max = excluded.took_ms_max
WHERE excluded.accepted >= statistic.accepted
    AND excluded.succeeded + excluded.dead + excluded.cancelled
        >= statistic.succeeded + statistic.dead + statistic.cancelled
