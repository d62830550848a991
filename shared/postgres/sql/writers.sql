-- The transactions that may still commit jobs: whoever inserts into haul.job holds this lock until its end.
SELECT coalesce(array_agg(DISTINCT virtualtransaction), '{}') AS "transactions!"
FROM pg_locks
WHERE locktype = 'relation' AND mode = 'RowExclusiveLock' AND granted AND relation = 'haul.job'::regclass
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
