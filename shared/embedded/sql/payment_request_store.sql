-- Stores what is sent for a generation. ?1: payment; ?2: operation; ?3: generation; ?4: path; ?5: body; ?6: now.
INSERT INTO payment_request (payment, operation, generation, path, body, stored_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
