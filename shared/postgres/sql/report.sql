-- Tells that a process is alive, and what it is. $1: its id; $2: its role; $3: what else it tells.
INSERT INTO haul.process (id, role, alive_at, about) VALUES ($1, $2, now(), $3)
ON CONFLICT (id) DO UPDATE SET role = excluded.role, alive_at = excluded.alive_at, about = excluded.about
