-- Takes receipts for repair. $1: how many at most.
--
-- Those of nobody and of processes that were silent for 15 s at once, any other after 3 minutes; each of them again 60
-- s after it was taken. No row: there is nothing to repair. A receipt that somebody takes right now is skipped.
WITH ripe AS (
    SELECT id, taken_at IS NOT NULL AS is_final
    FROM haul.receipt
    WHERE CASE
        WHEN taken_at IS NOT NULL THEN taken_at <= now() - interval '60 seconds'
        ELSE created_at <= now() - interval '3 minutes'
            OR owner NOT IN (SELECT id FROM haul.process WHERE alive_at > now() - interval '15 seconds')
    END
    ORDER BY id
    LIMIT $1
    FOR UPDATE SKIP LOCKED
)
UPDATE haul.receipt SET taken_at = now()
FROM ripe WHERE receipt.id = ripe.id
RETURNING receipt.id, receipt.first, receipt.last, ripe.is_final AS "is_final!"
