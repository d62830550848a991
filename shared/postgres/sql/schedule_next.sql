-- The ledger's clock, and when the first of all schedules that are not paused is due. Asked every second.
SELECT clock_timestamp() AS "now!",
    (SELECT next_at FROM haul.schedule WHERE NOT paused AND next_at IS NOT NULL ORDER BY next_at LIMIT 1) AS next_at
