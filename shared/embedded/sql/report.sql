-- A process tells that it is alive, and what it is. ?1: its id; ?2: its role; ?3: now; ?4: what else it tells.
INSERT INTO process (id, role, alive_at, since, about) VALUES (?1, ?2, ?3, ?3, ?4)
ON CONFLICT (id) DO UPDATE SET role = excluded.role, alive_at = excluded.alive_at, about = excluded.about
