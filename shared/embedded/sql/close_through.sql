-- Closes history below this id. ?1: the id.
UPDATE closing SET closed_through = ?1
