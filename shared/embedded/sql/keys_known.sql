-- The keys among those asked for that have not expired. No row: the key is free.
--
-- ?1: rows as JSON arrays of tenant and key, the key as offset and length in ?2; ?3: now; ?4: jobs before this id
-- may have been deleted, and their keys lapse with them.
SELECT known.tenant, known.key, known.fingerprint, known.job AS "job: Uuid"
FROM jsonb_each(?1) AS asked
CROSS JOIN idempotency AS known
    ON known.tenant = asked.value ->> 0 AND known.key = CAST(substr(?2, asked.value ->> 1, asked.value ->> 2) AS TEXT)
WHERE known.expires_at > ?3 AND (known.job >= ?4 OR EXISTS (SELECT 1 FROM job WHERE job.id = known.job))
