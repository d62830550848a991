-- Changes a payment that is at the version given. ?1: id; ?2: version; ?3: state; ?4: whether it is unfinished; ?5: body;
-- ?6: the change; ?7: now. No row is changed: it is at another version, or there is none.
UPDATE payment SET version = version + 1, state = ?3, unfinished = ?4, body = ?5, last_change = ?6, updated_at = ?7
WHERE id = ?1 AND version = ?2
