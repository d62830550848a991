-- Makes a payment. ?1: id; ?2: tenant; ?3: state; ?4: whether it is unfinished; ?5: amount; ?6: currency; ?7: body; ?8: now.
-- No row is changed: the id is there already.
INSERT INTO payment (id, tenant, version, state, unfinished, amount, currency, body, created_at, updated_at)
VALUES (?1, ?2, 1, ?3, ?4, ?5, ?6, ?7, ?8, ?8)
ON CONFLICT (id) DO NOTHING
