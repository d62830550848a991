-- Tells that a process is alive. $1: its id; $2: its role.
INSERT INTO haul.process (id, role, alive_at) VALUES ($1, $2, now())
ON CONFLICT (id) DO UPDATE SET role = excluded.role, alive_at = excluded.alive_at
