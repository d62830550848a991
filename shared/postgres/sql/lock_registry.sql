-- Waits for this transaction's turn at the registries of tenants, longer than for other locks. $1: the tenants, sorted.
WITH patience AS MATERIALIZED (
    SELECT current_setting('lock_timeout') AS short, set_config('lock_timeout', '10s', true) AS long
), turn AS MATERIALIZED (
    SELECT count(pg_advisory_xact_lock(hashtextextended(tenant, 4872461)))
    FROM patience, unnest($1::text[]) AS tenant
)
SELECT set_config('lock_timeout', patience.short, true) AS "lock_timeout!" FROM patience, turn
