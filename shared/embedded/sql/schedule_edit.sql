-- Gives a schedule a new definition and a place. ?1: id; ?2: spec; ?3: template; ?4: source; ?5: where it is then; ?6: when
-- it is due then; ?7: now.
UPDATE schedule
SET version = version + 1, spec = ?2, template = ?3, source = ?4, fired_through = ?5, next_at = ?6, problem = NULL,
    updated_at = ?7
WHERE id = ?1
