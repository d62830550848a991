-- A schedule by its name. $1: tenant; $2: name. No row: there is none.
SELECT id, tenant, name, version, paused, spec, template, source, fired_through, next_at, last_job, runs, problem,
    created_at, updated_at
FROM haul.schedule WHERE tenant = $1 AND name = $2
