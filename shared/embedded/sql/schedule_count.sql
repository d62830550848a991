-- How many schedules a tenant has, counted up to a limit. ?1: the tenant; ?2: the limit.
SELECT count(*) AS "count!: i64" FROM (SELECT 1 FROM schedule WHERE tenant = ?1 LIMIT ?2)
