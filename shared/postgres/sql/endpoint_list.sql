-- A tenant's endpoints in order of id. $1: tenant; $2: the id after which to begin; $3: how many at most.
SELECT tenant, id, version, settings, keys, disabled, failing_since, created_at, updated_at
FROM haul.endpoint WHERE tenant = $1 AND id > $2 ORDER BY id LIMIT $3
