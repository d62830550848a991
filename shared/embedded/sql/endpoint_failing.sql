-- Notes since when an endpoint has been failing. ?1: tenant; ?2: id; ?3: since when, null: it is not.
UPDATE endpoint SET failing_since = ?3 WHERE tenant = ?1 AND id = ?2
