-- Creates a schedule. $1: id; $2: tenant; $3: name; $4: whether it is paused; $5: spec; $6: template; $7: source; $8: where
-- it begins; $9: when it is due first. No row: the id or the name is there already.
INSERT INTO haul.schedule (id, tenant, name, paused, spec, template, source, fired_through, next_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT DO NOTHING
RETURNING id, tenant, name, version, paused, spec, template, source, fired_through, next_at, last_job, runs, problem,
    created_at, updated_at
