-- Stores a posting. ?1: payment; ?2: step; ?3: tenant; ?4: debit; ?5: credit; ?6: currency; ?7: amount; ?8: at.
INSERT INTO posting (payment, step, tenant, debit, credit, currency, amount, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
