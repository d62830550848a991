-- Deletes keys that have expired. ?1: now; ?2: how many at most.
DELETE FROM idempotency
WHERE (tenant, key) IN (SELECT tenant, key FROM idempotency WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2)
