-- Looks through the next jobs of a day for those that outlive it. $1: the day; $2: how many at most. True: it is done.
SELECT haul.survey_day($1, $2) AS "done!"
