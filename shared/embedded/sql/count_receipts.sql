-- How many receipts there are, and the oldest. ?1: up to where they are counted. Always one row.
SELECT
    (SELECT count(*) FROM (SELECT 1 FROM receipt LIMIT ?1)) AS "count!: i64",
    (SELECT id FROM receipt ORDER BY id LIMIT 1) AS "oldest: Uuid"
