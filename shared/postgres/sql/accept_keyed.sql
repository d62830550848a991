-- Accepts jobs of which some carry an idempotency key, in one transaction and one round trip.
--
-- $1..$8: the jobs' columns, sorted by id, without duplicates; $9: the owner of the receipt; $10: receipts to delete;
-- $11..$15: tenant, key, fingerprint, job and lifetime in ms of the keys, sorted, each key once.
-- Returns a row per key with whom it belongs to now. A job with a key is stored only if that is the job itself.
WITH done AS (
    DELETE FROM haul.receipt WHERE id = ANY ($10::uuid[])
), claimed AS (
    -- The update gives every caller the row as it stands, even if it was committed after this statement had begun.
    INSERT INTO haul.idempotency AS known (tenant, key, fingerprint, job, expires_at)
    SELECT asked.tenant, asked.key, asked.fingerprint, asked.job, now() + asked.lifetime_ms * interval '1 millisecond'
    FROM unnest($11::text[], $12::text[], $13::bytea[], $14::uuid[], $15::bigint[])
        AS asked (tenant, key, fingerprint, job, lifetime_ms)
    ON CONFLICT (tenant, key) DO UPDATE SET
        fingerprint = CASE WHEN haul.has_lapsed(known.job, known.expires_at) THEN excluded.fingerprint ELSE known.fingerprint END,
        job = CASE WHEN haul.has_lapsed(known.job, known.expires_at) THEN excluded.job ELSE known.job END,
        expires_at = CASE WHEN haul.has_lapsed(known.job, known.expires_at) THEN excluded.expires_at ELSE known.expires_at END
    RETURNING tenant, key, fingerprint, job
), fresh AS MATERIALIZED (
    SELECT asked.*
    FROM unnest($1::uuid[], $2::timestamptz[], $3::smallint[], $4::text[], $5::text[], $6::text[], $7::bytea[],
            $8::text[])
        AS asked (id, run_at, priority, tenant, queue, kind, payload, options)
    WHERE asked.id <> ALL ($14::uuid[]) OR asked.id IN (SELECT job FROM claimed)
), receipt AS (
    INSERT INTO haul.receipt (id, owner, first, last)
    SELECT lowest.id, $9, lowest.id, highest.id
    FROM (SELECT id FROM fresh ORDER BY id LIMIT 1) AS lowest,
        (SELECT id FROM fresh ORDER BY id DESC LIMIT 1) AS highest
    ON CONFLICT (id) DO NOTHING
), late AS (
    INSERT INTO haul.straggler (id)
    SELECT id FROM fresh WHERE id < (SELECT haul.id_floor(clock_timestamp() - interval '1 minute'))
    ON CONFLICT (id) DO NOTHING
), accepted AS (
    INSERT INTO haul.job (id, run_at, priority, tenant, queue, kind, payload, options)
    SELECT id, run_at, priority, tenant, queue, kind, payload, options FROM fresh
    ON CONFLICT (id) DO NOTHING
)
SELECT tenant, key, fingerprint, job FROM claimed
