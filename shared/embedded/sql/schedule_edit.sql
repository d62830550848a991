-- Gives a schedule a new definition and a place. ?1: id; ?2: spec; ?3: template; ?4: where it is then; ?5: when it is due
-- then; ?6: now.
UPDATE schedule
SET version = version + 1, spec = ?2, template = ?3, fired_through = ?4, next_at = ?5, problem = NULL, updated_at = ?6
WHERE id = ?1
