-- Gives a schedule a new definition. $1: id; $2: the version that the edit is of; $3: spec; $4: template; $5: source;
-- $6: whether it moves; if so $7: from where; $8: to where; $9: when it is due then.
-- No row: it is at another version, in another place, or gone.
UPDATE haul.schedule
SET version = version + 1, spec = $3, template = $4, source = $5, problem = NULL,
    updated_at = date_trunc('milliseconds', clock_timestamp()),
    fired_through = CASE WHEN $6 THEN $8 ELSE fired_through END,
    next_at = CASE WHEN $6 THEN $9 ELSE next_at END
WHERE id = $1 AND version = $2 AND (NOT $6 OR fired_through = $7)
RETURNING id, tenant, name, version, paused, spec, template, source, fired_through, next_at, last_job, runs, problem,
    created_at, updated_at
