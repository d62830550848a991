-- Makes the partitions of a day where they are missing. $1: the day (UTC).
SELECT haul.prepare_day($1) AS "made!"
