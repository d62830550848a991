-- Jobs of closed history that have ended are stragglers no longer. ?1: their ids, a JSON array of hex.
-- Returns those that were one.
DELETE FROM straggler WHERE id IN (SELECT unhex(value) FROM json_each(?1)) RETURNING id AS "id: Uuid"
