-- Moves on up to where days may be closed and dropped. $1: the first id that is kept. Returns how many days are held open.
SELECT haul.begin_retention($1) AS "held!"
