-- Forgets an open range. $1, $2: its ends.
DELETE FROM haul.open_range WHERE first = $1 AND last = $2
