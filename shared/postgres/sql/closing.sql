-- Takes charge of closing until the end of the transaction. No row: another process is at it.
SELECT closed_through, next_through, waits_for, swept_through,
    haul.id_floor(date_trunc('minute', clock_timestamp() - interval '2 minutes')) AS "ripe_through!"
FROM haul.closing
FOR UPDATE SKIP LOCKED
