-- Leaves a stretch of closed history open. $1, $2: its ends, both included.
INSERT INTO haul.open_range (first, last) VALUES ($1, $2)
ON CONFLICT (first, last) DO UPDATE SET looked_at = clock_timestamp()
