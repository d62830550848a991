-- Makes stragglers of jobs that came into closed history, unless they have ended: the batch may have been sent again.
--
-- ?1: their ids, a JSON array of hex.
INSERT INTO straggler (id)
SELECT unhex(value) FROM json_each(?1)
WHERE NOT EXISTS (SELECT 1 FROM outcome WHERE outcome.id = unhex(value))
ON CONFLICT (id) DO NOTHING
