-- Which of the jobs have an outcome. ?1: their ids, a JSON array of hex. No row: it has none.
SELECT outcome.id AS "id: Uuid", outcome.state
FROM json_each(?1) AS asked
CROSS JOIN outcome ON outcome.id = unhex(asked.value)
