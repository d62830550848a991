-- What an hour has come to. ?1: its first id; ?2: the first id after it.
SELECT tenant, queue, kind, count(*) AS "accepted!: i64", coalesce(sum(state = 1), 0) AS "succeeded!: i64",
    coalesce(sum(state = 2), 0) AS "dead!: i64", coalesce(sum(state = 3), 0) AS "cancelled!: i64",
    sum(failures) AS "failures!: i64", sum(took_ms) AS "took_ms_sum!: i64", max(took_ms) AS "took_ms_max!: i64"
FROM (
    SELECT job.tenant, job.queue, job.kind, outcome.state,
        (SELECT count(*) FROM failure WHERE failure.job = job.id) AS failures,
        CASE WHEN outcome.state IN (1, 2) THEN max(0, outcome.finished_at - job.run_at) ELSE 0 END AS took_ms
    FROM job LEFT JOIN outcome ON outcome.id = job.id
    WHERE job.id >= ?1 AND job.id < ?2
)
GROUP BY tenant, queue, kind
