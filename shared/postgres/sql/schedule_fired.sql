-- Which of these steps were taken before, by their jobs. $1: schedules; $2: the last job of each step.
SELECT schedule.id
FROM unnest($1::uuid[], $2::uuid[]) AS asked (id, last_job)
JOIN haul.schedule ON schedule.id = asked.id AND schedule.last_job = asked.last_job
