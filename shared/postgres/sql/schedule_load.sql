-- Schedules by id. $1: ids.
SELECT id, tenant, name, version, paused, spec, template, source, fired_through, next_at, last_job, runs, problem,
    created_at, updated_at
FROM haul.schedule WHERE id = ANY ($1::uuid[])
