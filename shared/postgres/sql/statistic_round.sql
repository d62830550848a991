-- Takes charge of a round until the end of the transaction. $1: which. No row: another process is at it.
SELECT next_hour, clock_timestamp() AS "now!" FROM haul.statistic_round WHERE round = $1 FOR UPDATE SKIP LOCKED
