-- The open range that was not looked at for the longest time, if that is 30 s. No row: there is none.
SELECT first, last FROM haul.open_range WHERE looked_at <= clock_timestamp() - interval '30 seconds'
ORDER BY looked_at LIMIT 1
