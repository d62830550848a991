-- Pauses or resumes a queue. ?1: tenant; ?2: queue; ?3: whether it is paused. No row is changed: there is no such queue.
UPDATE queue SET paused = ?3 WHERE tenant = ?1 AND name = ?2
