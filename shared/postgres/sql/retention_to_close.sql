-- The oldest day that may be closed, and whether it was surveyed. One that was held is looked at again after an hour. No
-- row: there is none.
SELECT partition.day AS "day!", coalesce(known.surveyed_through = haul.day_floor(partition.day + 1), false) AS "surveyed!"
FROM (
    SELECT to_date(right(relname, 8), 'YYYYMMDD') AS day
    FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
    WHERE inhparent = 'haul.job'::regclass AND relname ~ '^job_[0-9]{8}$'
) AS partition
LEFT JOIN haul.day AS known ON known.day = partition.day
WHERE haul.day_floor(partition.day) < (SELECT closed_before FROM haul.retention)
    AND known.closed_at IS NULL
    AND (known.held_at IS NULL OR known.held_at <= clock_timestamp() - interval '1 hour')
ORDER BY partition.day LIMIT 1
