-- Payments that are not final, in order of id. $1: those after this id, or null; $2: how many.
SELECT id, tenant, version, amount, currency, body, created_at, updated_at
FROM haul.payment WHERE unfinished AND ($1::uuid IS NULL OR id > $1) ORDER BY id LIMIT $2
