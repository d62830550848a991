-- Deletes an endpoint. $1: tenant; $2: id; $3: the version, null: any. No row: it is at another version, or there is none.
DELETE FROM haul.endpoint WHERE tenant = $1 AND id = $2 AND ($3::bigint IS NULL OR version = $3)
RETURNING tenant, id, version, settings, keys, disabled, failing_since, created_at, updated_at
