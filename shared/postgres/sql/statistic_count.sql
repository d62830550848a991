-- Counts an hour. $1: the hour; $2: its first id; $3: the first id after it. What retention has dropped since an earlier
-- count does not make it less.
INSERT INTO haul.statistic AS known (hour, tenant, queue, kind, accepted, succeeded, dead, cancelled, failures,
    took_ms_sum, took_ms_max)
SELECT $1, tenant, queue, kind, count(*), count(*) FILTER (WHERE state = 1), count(*) FILTER (WHERE state = 2),
    count(*) FILTER (WHERE state = 3), sum(failures), sum(took_ms), max(took_ms)
FROM (
    SELECT job.tenant, job.queue, job.kind, outcome.state, coalesce(failed.failures, 0) AS failures,
        CASE WHEN outcome.state IN (1, 2)
            THEN greatest(0, floor(extract(epoch FROM outcome.finished_at - job.run_at) * 1000))::bigint ELSE 0 END
            AS took_ms
    FROM haul.job
    LEFT JOIN haul.outcome ON outcome.id = job.id AND outcome.id >= $2 AND outcome.id < $3
    LEFT JOIN (
        SELECT failure.job, count(*) AS failures FROM haul.failure WHERE failure.job >= $2 AND failure.job < $3
        GROUP BY failure.job
    ) AS failed ON failed.job = job.id
    WHERE job.id >= $2 AND job.id < $3
) AS ended
GROUP BY tenant, queue, kind
ON CONFLICT (tenant, queue, hour, kind) DO UPDATE SET accepted = excluded.accepted, succeeded = excluded.succeeded,
    dead = excluded.dead, cancelled = excluded.cancelled, failures = excluded.failures,
    took_ms_sum = excluded.took_ms_sum, took_ms_max = excluded.took_ms_max
WHERE excluded.accepted >= known.accepted
    AND excluded.succeeded + excluded.dead + excluded.cancelled >= known.succeeded + known.dead + known.cancelled
