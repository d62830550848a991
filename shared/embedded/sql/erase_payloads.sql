-- Erases the payloads of jobs that have ended. ?1: their ids, a JSON array of hex. Those that are erased already are not
-- counted.
UPDATE job SET payload = x'' WHERE id IN (SELECT unhex(value) FROM json_each(?1)) AND length(payload) > 0
