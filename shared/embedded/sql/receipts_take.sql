-- Takes receipts for repair: left behind ones at once, any other after 3 minutes, taken ones again after 60 s, or 15 s
-- when their taker is gone.
--
-- ?1: the taker, who owns them from now on; ?2: now; ?3: how many at most. An owner without a row in `process` is nobody
-- or gone for long. `sweeps` counts those by owners that lived on.
UPDATE receipt SET owner = ?1, taken_at = ?2,
    sweeps = CASE WHEN taken_at IS NOT NULL
            AND EXISTS (SELECT 1 FROM process WHERE process.id = receipt.owner AND alive_at > ?2 - 15000)
        THEN sweeps + 1 ELSE 1 END
WHERE id IN (
    SELECT receipt.id FROM receipt
    LEFT JOIN process ON process.id = receipt.owner AND process.alive_at > ?2 - 15000
    WHERE CASE WHEN process.id IS NULL THEN receipt.taken_at IS NULL OR receipt.taken_at <= ?2 - 15000
        WHEN receipt.taken_at IS NOT NULL THEN receipt.taken_at <= ?2 - 60000
        ELSE receipt.created_at <= ?2 - 180000 END
    ORDER BY receipt.id
    LIMIT ?3
)
RETURNING id AS "id: Uuid", first AS "first: Uuid", last AS "last: Uuid", sweeps
