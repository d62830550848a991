-- A bounded stretch of jobs. $1, $2: after this id, up to and including this one; $3: one less than how many at most.
-- The first and the last job of the stretch are null when there are none; the last of a full stretch is null when there
-- are fewer.
SELECT
    (SELECT id FROM haul.job WHERE id > $1 AND id <= $2 ORDER BY id LIMIT 1) AS first,
    (SELECT id FROM haul.job WHERE id > $1 AND id <= $2 ORDER BY id OFFSET $3 LIMIT 1) AS full_last,
    (SELECT id FROM haul.job WHERE id > $1 AND id <= $2 ORDER BY id DESC LIMIT 1) AS last
