-- Deletes an endpoint. ?1: tenant; ?2: id.
DELETE FROM endpoint WHERE tenant = ?1 AND id = ?2
