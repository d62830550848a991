-- When the first of all schedules that are not paused is due. Asked every second. No row: none will ever be.
SELECT next_at AS "next_at!" FROM schedule WHERE paused = 0 AND next_at IS NOT NULL ORDER BY next_at LIMIT 1
