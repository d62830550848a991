-- The table whose statistics are the most out of date, and how many others wait. Those of the last ten minutes are young.
-- No row: none is out of date.
SELECT format('haul.%I', relname) AS "name!", count(*) OVER () - 1 AS "others!"
FROM pg_stat_user_tables
WHERE schemaname = 'haul' AND n_mod_since_analyze > 0
    AND coalesce(greatest(last_analyze, last_autoanalyze), '-infinity') < clock_timestamp() - interval '10 minutes'
ORDER BY greatest(last_analyze, last_autoanalyze) NULLS FIRST
LIMIT 1
