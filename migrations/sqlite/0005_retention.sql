-- Retention: how far days are closed, and where deleting and erasing go on.

CREATE TABLE retention (
    only_row INTEGER NOT NULL PRIMARY KEY CHECK (only_row = 1),
    closed_before BLOB NOT NULL,  -- no new job before this id is accepted any more
    deleted_before BLOB NOT NULL, -- before this id, jobs were looked at in this round of deleting
    erased_before BLOB NOT NULL   -- the same for payloads
) STRICT, WITHOUT ROWID;
INSERT INTO retention VALUES (1, zeroblob(16), zeroblob(16), zeroblob(16));
