-- Makes a payment. $1: id; $2: tenant; $3: state; $4: whether it is unfinished; $5: amount; $6: currency; $7: body.
-- No row is changed: the id is there already.
INSERT INTO haul.payment (id, tenant, state, unfinished, amount, currency, body)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (id) DO NOTHING
