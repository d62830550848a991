-- A payment and the clock. $1: its id. No row: there is none.
SELECT id, tenant, version, amount, currency, body, created_at, updated_at, date_trunc('milliseconds', clock_timestamp()) AS "now!"
FROM haul.payment WHERE id = $1
