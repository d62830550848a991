-- Closes a day. $1: the day; $2: how many jobs may be moved. Returns how many were; -1: these are too many.
SELECT haul.close_day($1, $2) AS "moved!"
