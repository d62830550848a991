-- Replaces what is said of an endpoint. ?1: tenant; ?2: id; ?3: settings; ?4: keys; ?5: why it is disabled; ?6: now.
UPDATE endpoint
SET version = version + 1, settings = ?3, keys = ?4, disabled = ?5, failing_since = NULL, updated_at = ?6
WHERE tenant = ?1 AND id = ?2
