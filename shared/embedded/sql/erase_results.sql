-- Erases the results and error details of jobs. ?1: their ids, a JSON array of hex.
UPDATE outcome SET result = NULL, error_detail = NULL
WHERE id IN (SELECT unhex(value) FROM json_each(?1)) AND (result IS NOT NULL OR error_detail IS NOT NULL)
