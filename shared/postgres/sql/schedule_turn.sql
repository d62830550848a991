-- Waits for this transaction's turn at creating schedules of a tenant, longer than for other locks. $1: the tenant.
WITH patience AS MATERIALIZED (
    SELECT current_setting('lock_timeout') AS short, set_config('lock_timeout', '10s', true) AS long
), turn AS MATERIALIZED (
    SELECT count(pg_advisory_xact_lock(hashtextextended($1, 7309415))) FROM patience
)
SELECT set_config('lock_timeout', patience.short, true) AS "lock_timeout!" FROM patience, turn
