-- Pauses or resumes a schedule. $1: tenant; $2: name; $3: the version, null: any; $4: whether it is to be paused. One that
-- is so already stays as it is. No row: it is at another version, or there is none.
UPDATE haul.schedule
SET paused = $4, version = version + (paused <> $4)::integer,
    updated_at = CASE WHEN paused = $4 THEN updated_at ELSE date_trunc('milliseconds', clock_timestamp()) END
WHERE tenant = $1 AND name = $2 AND ($3::bigint IS NULL OR version = $3)
RETURNING id, tenant, name, version, paused, spec, template, source, fired_through, next_at, last_job, runs, problem,
    created_at, updated_at
