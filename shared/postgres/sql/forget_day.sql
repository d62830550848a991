-- Forgets a day that was dropped. $1: the day.
DELETE FROM haul.day WHERE day = $1
