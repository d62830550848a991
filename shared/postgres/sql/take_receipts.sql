-- Takes receipts for repair. $1: the taker, who owns them from now on; $2: how many at most.
--
-- Those of nobody and of processes that were silent for 15 s at once, any other after 3 minutes; each of them again 60
-- s after it was taken, or 15 s when its taker is gone. No row: there is nothing to repair. A receipt that somebody
-- takes right now is skipped.
WITH alive AS MATERIALIZED (
    SELECT id FROM haul.process WHERE alive_at > now() - interval '15 seconds'
), ripe AS (
    SELECT id, taken_at IS NOT NULL AND owner IN (SELECT id FROM alive) AS is_final
    FROM haul.receipt
    WHERE CASE
        WHEN owner NOT IN (SELECT id FROM alive) THEN taken_at IS NULL OR taken_at <= now() - interval '15 seconds'
        WHEN taken_at IS NOT NULL THEN taken_at <= now() - interval '60 seconds'
        ELSE created_at <= now() - interval '3 minutes'
    END
    ORDER BY id
    LIMIT $2
    FOR UPDATE SKIP LOCKED
)
UPDATE haul.receipt SET owner = $1, taken_at = now()
FROM ripe WHERE receipt.id = ripe.id
RETURNING receipt.id, receipt.first, receipt.last, ripe.is_final AS "is_final!"
