-- A tenant's schedules in order of name. $1: tenant; $2: the name after which to begin, empty: at the beginning;
-- $3: how many at most.
SELECT id, tenant, name, version, paused, spec, template, source, fired_through, next_at, last_job, runs, problem,
    created_at, updated_at
FROM haul.schedule WHERE tenant = $1 AND name > $2 ORDER BY name LIMIT $3
