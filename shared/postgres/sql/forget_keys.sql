-- Forgets expired idempotency keys, at most $1. Those that somebody uses right now are left to the next time.
DELETE FROM haul.idempotency WHERE ctid IN (
    SELECT ctid FROM haul.idempotency WHERE expires_at <= now() ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED
)
