-- A tenant's payments, the newest first. $1: tenant; $2: state, or null; $3: those before this id, or null; $4: how many.
SELECT id, tenant, version, amount, currency, body, created_at, updated_at
FROM haul.payment
WHERE tenant = $1 AND ($2::text IS NULL OR state = $2) AND ($3::uuid IS NULL OR id < $3)
ORDER BY id DESC
LIMIT $4
