-- An endpoint. ?1: tenant; ?2: id. No row: the tenant has none with this id.
SELECT tenant, id AS "id: Uuid", version, settings, keys, disabled, failing_since, created_at, updated_at
FROM endpoint WHERE tenant = ?1 AND id = ?2
