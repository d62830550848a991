-- Pauses or resumes a schedule that is not so already. ?1: id; ?2: whether it is to be paused; ?3: now.
UPDATE schedule SET paused = ?2, version = version + 1, updated_at = ?3 WHERE id = ?1
