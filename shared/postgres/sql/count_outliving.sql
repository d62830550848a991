-- How many jobs the survey of a day has found so far. $1: the day.
SELECT count(*) AS "found!" FROM haul.outliving WHERE id >= haul.day_floor($1) AND id < haul.day_floor($1 + 1)
