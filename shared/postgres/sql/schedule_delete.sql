-- Deletes a schedule. $1: tenant; $2: name; $3: the version, null: any. No row: it is at another version, or there is
-- none.
DELETE FROM haul.schedule WHERE tenant = $1 AND name = $2 AND ($3::bigint IS NULL OR version = $3)
RETURNING id, tenant, name, version, paused, spec, template, source, fired_through, next_at, last_job, runs, problem,
    created_at, updated_at
