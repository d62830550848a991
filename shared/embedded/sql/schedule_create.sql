-- Creates a schedule. ?1: id; ?2: tenant; ?3: name; ?4: whether it is paused; ?5: spec; ?6: template; ?7: source; ?8: where
-- it begins; ?9: when it is due first; ?10: now. No row is changed: the id is there already.
INSERT INTO schedule
    (id, tenant, name, version, paused, spec, template, source, fired_through, next_at, created_at, updated_at)
VALUES (?1, ?2, ?3, 1, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?10)
ON CONFLICT DO NOTHING
