-- Takes an idempotency key for what is no job, if it is free. $1: tenant; $2: key; $3: fingerprint; $4: the id of what is
-- made; $5: lifetime in ms. Returns whose the key is now: of the request of that fingerprint, that made what has that id.
INSERT INTO haul.idempotency AS known (tenant, key, fingerprint, job, expires_at)
VALUES ($1, $2, $3, $4, now() + $5 * interval '1 millisecond')
ON CONFLICT (tenant, key) DO UPDATE SET
    fingerprint = CASE WHEN known.expires_at <= now() THEN excluded.fingerprint ELSE known.fingerprint END,
    job = CASE WHEN known.expires_at <= now() THEN excluded.job ELSE known.job END,
    expires_at = CASE WHEN known.expires_at <= now() THEN excluded.expires_at ELSE known.expires_at END
RETURNING fingerprint, job
