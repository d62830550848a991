-- The receipt of a batch. ?1: its name, which is its lowest id; ?2: owner; ?3: highest id; ?4: now.
INSERT INTO receipt (id, owner, first, last, created_at) VALUES (?1, ?2, ?1, ?3, ?4)
ON CONFLICT (id) DO NOTHING
