-- How many receipts there are, and the oldest. $1: up to where they are counted. Always one row.
SELECT
    (SELECT count(*) FROM (SELECT FROM haul.receipt LIMIT $1) AS counted) AS "count!",
    (SELECT id FROM haul.receipt ORDER BY id LIMIT 1) AS oldest
