-- Deletes the failures of jobs. ?1: their ids, a JSON array of hex.
DELETE FROM failure WHERE job IN (SELECT unhex(value) FROM json_each(?1))
