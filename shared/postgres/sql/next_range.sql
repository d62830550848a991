-- The first open range that ends after an id. $1: the id. No row: there is none.
SELECT first, last FROM haul.open_range WHERE last > $1 ORDER BY first LIMIT 1
