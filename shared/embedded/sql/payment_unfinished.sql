-- Payments that are not final, in order of id. ?1: those after this id, or null; ?2: how many.
SELECT id AS "id: Uuid", tenant, version, amount, currency, body, created_at, updated_at
FROM payment WHERE unfinished = 1 AND (?1 IS NULL OR id > ?1) ORDER BY id LIMIT ?2
