-- A process tells that it is alive. ?1: its id; ?2: its role; ?3: now.
INSERT INTO process (id, role, alive_at, since) VALUES (?1, ?2, ?3, ?3)
ON CONFLICT (id) DO UPDATE SET role = excluded.role, alive_at = excluded.alive_at
