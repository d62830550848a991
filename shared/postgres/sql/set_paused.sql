-- Pauses or resumes a queue. $1: tenant; $2: name; $3: whether it is paused. No row affected: there is no such queue.
UPDATE haul.queue SET paused = $3 WHERE tenant = $1 AND name = $2
