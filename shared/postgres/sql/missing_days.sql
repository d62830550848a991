-- Which of the days around today have no partitions yet. $1, $2: days before and after today (UTC).
SELECT day::date AS "day!"
FROM generate_series(
    date_trunc('day', clock_timestamp() AT TIME ZONE 'UTC') - make_interval(days => $1),
    date_trunc('day', clock_timestamp() AT TIME ZONE 'UTC') + make_interval(days => $2),
    interval '1 day') AS day
WHERE to_regclass('haul.failure' || to_char(day, '"_"YYYYMMDD')) IS NULL
ORDER BY day
