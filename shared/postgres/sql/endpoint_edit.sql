-- Replaces what is said of an endpoint. $1: tenant; $2: id; $3: the version that the edit is of; $4: settings; $5: keys;
-- $6: why it is disabled, null: it is not. No row: it is at another version, or gone.
UPDATE haul.endpoint
SET version = version + 1, settings = $4, keys = $5, disabled = $6, failing_since = NULL,
    updated_at = date_trunc('milliseconds', clock_timestamp())
WHERE tenant = $1 AND id = $2 AND version = $3
RETURNING tenant, id, version, settings, keys, disabled, failing_since, created_at, updated_at
