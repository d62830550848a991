-- Moves a round on. $1: which; $2: the next hour that it is to count.
UPDATE haul.statistic_round SET next_hour = $2 WHERE round = $1
