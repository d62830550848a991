-- Takes the oldest closed day of which nothing is kept, or one that was begun to be dropped. $1: the first id that is
-- kept. No row: there is none.
UPDATE haul.day SET is_dropping = true
WHERE day = (
    SELECT day FROM haul.day WHERE closed_at IS NOT NULL AND (is_dropping OR haul.day_floor(day + 1) <= $1)
    ORDER BY NOT is_dropping, day LIMIT 1
)
RETURNING day
