-- Writes down how far retention has come. ?1: closed before; ?2: deleted before; ?3: erased before.
UPDATE retention SET closed_before = ?1, deleted_before = ?2, erased_before = ?3
