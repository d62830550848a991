-- Changes a queue's settings. ?1: tenant; ?2: queue; ?3: whether it is paused, ?4: over how many slots it is split, null
-- for as it is. Gives what holds now. No row: there is no such queue.
UPDATE queue SET paused = coalesce(?3, paused), slots = coalesce(?4, slots)
WHERE tenant = ?1 AND name = ?2
RETURNING paused AS "paused: bool", slots
