-- Creates an endpoint. ?1: tenant; ?2: id; ?3: settings; ?4: keys; ?5: now; ?6: how many the tenant may have.
-- No row is changed: the id is there already, or there are as many.
INSERT INTO endpoint (tenant, id, version, settings, keys, created_at, updated_at)
SELECT ?1, ?2, 1, ?3, ?4, ?5, ?5
WHERE (SELECT count(*) FROM endpoint WHERE tenant = ?1) < ?6
ON CONFLICT DO NOTHING
