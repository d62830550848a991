-- What is remembered of an idempotency key. $1: tenant; $2: the key. No row: nothing, or it has expired.
SELECT fingerprint, job FROM haul.idempotency WHERE tenant = $1 AND key = $2 AND expires_at > now()
