-- Takes keys, each once, that are free or have expired.
--
-- ?1: rows as JSON arrays of tenant, key, fingerprint, job, expires_at; key and fingerprint as offset and length in ?2,
-- job as an offset.
INSERT INTO idempotency (tenant, key, fingerprint, job, expires_at)
SELECT value ->> 0, CAST(substr(?2, value ->> 1, value ->> 2) AS TEXT), substr(?2, value ->> 3, value ->> 4),
    substr(?2, value ->> 5, 16), value ->> 6
FROM jsonb_each(?1)
WHERE true
ON CONFLICT (tenant, key) DO UPDATE SET
    fingerprint = excluded.fingerprint, job = excluded.job, expires_at = excluded.expires_at
