-- `record` for jobs that outlive their day. Takes and returns the same, but $26: the tenants of the failures; $27: which
-- of these are crashes. No row: it came too late, or no such job is kept.
WITH found AS MATERIALIZED (
    -- Locked, so that one whose time is over does not go meanwhile.
    SELECT job.id, job.tenant FROM haul.kept_job AS job WHERE job.id = ANY ($1::uuid[]) OR job.id = ANY ($9::uuid[])
    ORDER BY job.id FOR KEY SHARE
), ended AS (
    INSERT INTO haul.kept_outcome (id, finished_at, attempt, state, tenant, result, error, error_detail)
    SELECT asked.*
    FROM unnest($1::uuid[], $2::timestamptz[], $3::integer[], $4::smallint[], $5::text[], $6::bytea[], $7::text[],
            $8::text[])
        AS asked (id, finished_at, attempt, state, tenant, result, error, error_detail)
    WHERE (asked.id, asked.tenant) IN (SELECT id, tenant FROM found)
    ON CONFLICT (id) DO NOTHING
    RETURNING id
), failed AS (
    INSERT INTO haul.kept_failure (job, attempt, at, retry_at, error, error_detail, crashed)
    SELECT asked.job, asked.attempt, asked.at, asked.retry_at, asked.error, asked.error_detail, asked.crashed
    FROM unnest($9::uuid[], $10::integer[], $11::timestamptz[], $12::timestamptz[], $13::text[], $14::text[],
            $26::text[], $27::boolean[])
        AS asked (job, attempt, at, retry_at, error, error_detail, tenant, crashed)
    WHERE (asked.job, asked.tenant) IN (SELECT id, tenant FROM found)
        AND asked.job NOT IN (SELECT id FROM haul.kept_outcome WHERE id = ANY ($9::uuid[]))
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
