-- Deletes a schedule. ?1: id.
DELETE FROM schedule WHERE id = ?1
