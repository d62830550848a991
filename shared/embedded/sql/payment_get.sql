-- A payment. ?1: its id. No row: there is none.
SELECT id AS "id: Uuid", tenant, version, amount, currency, body, created_at, updated_at FROM payment WHERE id = ?1
