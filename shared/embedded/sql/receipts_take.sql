-- Takes receipts for repair: left behind ones at once, any other after 3 minutes, taken ones again after 60 s.
--
-- ?1: now; ?2: how many at most. An owner without a row in `process` is nobody or gone for long.
UPDATE receipt SET taken_at = ?1, sweeps = sweeps + 1
WHERE id IN (
    SELECT receipt.id FROM receipt LEFT JOIN process ON process.id = receipt.owner
    WHERE CASE WHEN receipt.taken_at IS NOT NULL THEN receipt.taken_at <= ?1 - 60000
        ELSE process.alive_at IS NULL OR process.alive_at <= ?1 - 15000 OR receipt.created_at <= ?1 - 180000 END
    ORDER BY receipt.id
    LIMIT ?2
)
RETURNING id AS "id: Uuid", first AS "first: Uuid", last AS "last: Uuid", sweeps
