-- Erases the details of failures. ?1: the ids of their jobs, a JSON array of hex.
UPDATE failure SET error_detail = NULL
WHERE job IN (SELECT unhex(value) FROM json_each(?1)) AND error_detail IS NOT NULL
