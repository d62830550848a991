-- Deletes receipts. ?1: their names, a JSON array of hex.
DELETE FROM receipt WHERE id IN (SELECT unhex(value) FROM json_each(?1))
