-- A tenant's payments, the newest first. ?1: tenant; ?2: state, or null; ?3: those before this id, or null; ?4: how many.
SELECT id AS "id: Uuid", tenant, version, amount, currency, body, created_at, updated_at
FROM payment
WHERE tenant = ?1 AND (?2 IS NULL OR state = ?2) AND (?3 IS NULL OR id < ?3)
ORDER BY id DESC
LIMIT ?4
