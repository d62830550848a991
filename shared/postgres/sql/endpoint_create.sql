-- Creates an endpoint. $1: tenant; $2: id; $3: settings; $4: keys; $5: how many the tenant may have.
-- No row: the id is there already, or there are as many.
INSERT INTO haul.endpoint (tenant, id, settings, keys)
SELECT $1, $2, $3, $4
WHERE (SELECT count(*) FROM haul.endpoint WHERE tenant = $1) < $5
ON CONFLICT DO NOTHING
RETURNING tenant, id, version, settings, keys, disabled, failing_since, created_at, updated_at
