-- How many schedules a tenant has, counted up to a limit. $1: the tenant; $2: the limit.
SELECT count(*) AS "count!" FROM (SELECT FROM haul.schedule WHERE tenant = $1 LIMIT $2) AS counted
