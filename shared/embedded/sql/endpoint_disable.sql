-- Disables an endpoint. ?1: tenant; ?2: id; ?3: why; ?4: since when it has been failing; ?5: now.
UPDATE endpoint SET version = version + 1, disabled = ?3, failing_since = ?4, updated_at = ?5
WHERE tenant = ?1 AND id = ?2
