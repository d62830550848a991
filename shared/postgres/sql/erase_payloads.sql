-- Erases the payloads of the next jobs. $1: only of those before this id; $2: how many at most.
SELECT erased AS "erased!", more AS "more!" FROM haul.erase_payloads($1, $2)
