-- Jobs as a reader sees them, each with its latest failure only. ?1: their ids, a JSON array of hex.
-- No row: there is no such job.
SELECT job.id AS "id: Uuid", job.run_at, job.priority, job.tenant, job.queue, job.kind, job.payload, job.options,
    outcome.state AS "state?: i64", outcome.finished_at AS "finished_at?: i64", outcome.attempt AS "final_attempt?: i64",
    outcome.result AS "result?: Vec<u8>", outcome.error AS "final_error?: String",
    outcome.error_detail AS "final_error_detail?: String",
    (SELECT count(*) FROM failure WHERE failure.job = job.id) AS "failures!: i64",
    latest.attempt AS "attempt?: i64", latest.at AS "at?: i64", latest.retry_at AS "retry_at?: i64",
    latest.error AS "error?: String", latest.error_detail AS "error_detail?: String",
    latest.crashed AS "crashed?: bool"
FROM json_each(?1) AS asked
CROSS JOIN job ON job.id = unhex(asked.value)
LEFT JOIN outcome ON outcome.id = job.id
LEFT JOIN failure AS latest ON latest.job = job.id
    AND latest.attempt = (SELECT max(attempt) FROM failure WHERE failure.job = job.id)
