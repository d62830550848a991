-- Deletes the outcomes of jobs. ?1: their ids, a JSON array of hex.
DELETE FROM outcome WHERE id IN (SELECT unhex(value) FROM json_each(?1))
