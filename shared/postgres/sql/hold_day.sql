-- Leaves a day open, to be surveyed anew later. $1: the day.
WITH forgotten AS (
    DELETE FROM haul.outliving WHERE id >= haul.day_floor($1) AND id < haul.day_floor($1 + 1)
)
INSERT INTO haul.day (day, held_at) VALUES ($1, clock_timestamp())
ON CONFLICT (day) DO UPDATE SET held_at = excluded.held_at, surveyed_through = NULL
