-- Records how attempts ended, with the follow-ups of the records that stay, in one transaction and one round trip.
--
-- $1..$8: the outcomes' columns, sorted by id, each job once; $9..$14 and $29: the failures' columns, sorted, each
-- attempt once; $15..$22: the follow-ups' columns as jobs, sorted by id; $23, $24: the record each belongs to, as job and
-- attempt, -1 for its outcome; $25: the owner of their receipt; $26, $27: the lowest and the highest job of all
-- records; $28: the tenants of the failures. Returns a row per record that stays, as job and attempt, -1 for an
-- outcome. No row: it came too late, or there is no such job.
WITH ended AS (
    INSERT INTO haul.outcome (id, finished_at, attempt, state, tenant, result, error, error_detail)
    SELECT asked.*
    FROM unnest($1::uuid[], $2::timestamptz[], $3::integer[], $4::smallint[], $5::text[], $6::bytea[], $7::text[],
            $8::text[])
        AS asked (id, finished_at, attempt, state, tenant, result, error, error_detail)
    CROSS JOIN LATERAL (
        SELECT FROM haul.job WHERE id = asked.id AND id BETWEEN $26 AND $27 AND tenant = asked.tenant LIMIT 1
    ) AS job
    ON CONFLICT (id) DO NOTHING
    RETURNING id
), failed AS (
    INSERT INTO haul.failure (job, attempt, at, retry_at, error, error_detail, crashed)
    SELECT asked.job, asked.attempt, asked.at, asked.retry_at, asked.error, asked.error_detail, asked.crashed
    FROM unnest($9::uuid[], $10::integer[], $11::timestamptz[], $12::timestamptz[], $13::text[], $14::text[],
            $28::text[], $29::boolean[])
        AS asked (job, attempt, at, retry_at, error, error_detail, tenant, crashed)
    CROSS JOIN LATERAL (
        SELECT FROM haul.job WHERE id = asked.job AND id BETWEEN $26 AND $27 AND tenant = asked.tenant LIMIT 1
    ) AS job
    LEFT JOIN LATERAL (
        SELECT id FROM haul.outcome WHERE id = asked.job AND id BETWEEN $26 AND $27 LIMIT 1
    ) AS outcome ON true
    WHERE outcome.id IS NULL
    ON CONFLICT (job, attempt) DO NOTHING
    RETURNING job, attempt
), stays AS (
    SELECT id AS job, -1 AS attempt FROM ended UNION ALL SELECT job, attempt FROM failed
), follow_up AS MATERIALIZED (
    SELECT asked.*
    FROM unnest($15::uuid[], $16::timestamptz[], $17::smallint[], $18::text[], $19::text[], $20::text[], $21::bytea[],
            $22::text[], $23::uuid[], $24::integer[])
        AS asked (id, run_at, priority, tenant, queue, kind, payload, options, of_job, of_attempt)
    WHERE (asked.of_job, asked.of_attempt) IN (SELECT job, attempt FROM stays)
), receipt AS (
    INSERT INTO haul.receipt (id, owner, first, last)
    SELECT lowest.id, $25, lowest.id, highest.id
    FROM (SELECT id FROM follow_up ORDER BY id LIMIT 1) AS lowest,
        (SELECT id FROM follow_up ORDER BY id DESC LIMIT 1) AS highest
    ON CONFLICT (id) DO NOTHING
), late AS (
    INSERT INTO haul.straggler (id)
    SELECT id FROM follow_up WHERE id < (SELECT haul.id_floor(clock_timestamp() - interval '1 minute'))
    ON CONFLICT (id) DO NOTHING
), accepted AS (
    INSERT INTO haul.job (id, run_at, priority, tenant, queue, kind, payload, options)
    SELECT id, run_at, priority, tenant, queue, kind, payload, options FROM follow_up
    ON CONFLICT (id) DO NOTHING
)
SELECT job AS "job!", attempt AS "attempt!" FROM stays
