-- The last open range that begins before an id. $1: the id. No row: there is none.
SELECT first, last FROM haul.open_range WHERE first < $1 ORDER BY last DESC LIMIT 1
