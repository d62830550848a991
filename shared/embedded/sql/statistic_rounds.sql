-- How far each round has counted.
SELECT round, next_hour FROM statistic_round ORDER BY round
