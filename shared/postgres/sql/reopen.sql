-- Has a stretch of closed history looked at again. $1, $2: its ends, both included. No row affected: it is not closed.
INSERT INTO haul.open_range (first, last, looked_at)
SELECT $1, least($2, closed_through), '-infinity' FROM haul.closing WHERE closed_through >= $1
ON CONFLICT (first, last) DO UPDATE SET looked_at = excluded.looked_at
