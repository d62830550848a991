-- Creates a schedule, unless it came with Haul before. $1: id; $2: tenant; $3: name; $4: whether it is paused; $5: spec;
-- $6: template; $7: where it begins; $8: when it is due first; $9: source. No row: it came before, or the name is
-- taken.
WITH brought AS (
    INSERT INTO haul.schedule_brought (tenant, name) VALUES ($2, $3)
    ON CONFLICT DO NOTHING
    RETURNING name
)
INSERT INTO haul.schedule (id, tenant, name, paused, spec, template, fired_through, next_at, source)
SELECT $1, $2, brought.name, $4, $5, $6, $7, $8::timestamptz, $9 FROM brought
ON CONFLICT DO NOTHING
RETURNING id
