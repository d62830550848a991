-- What is remembered of an idempotency key. ?1: tenant; ?2: the key; ?3: now. No row: nothing, or it has expired.
SELECT fingerprint, job AS "job: Uuid" FROM idempotency WHERE tenant = ?1 AND key = ?2 AND expires_at > ?3
