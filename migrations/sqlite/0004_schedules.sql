-- Schedules: jobs that are to be accepted again and again, and how far each of them has come. As in Postgres.

CREATE TABLE schedule (
    id BLOB NOT NULL PRIMARY KEY,
    tenant TEXT NOT NULL,
    name TEXT NOT NULL,
    version INTEGER NOT NULL,     -- grows with every edit, pause and resume
    paused INTEGER NOT NULL,
    spec TEXT NOT NULL,           -- when it fires, as JSON
    template TEXT NOT NULL,       -- what every job of it is made of, as JSON
    source TEXT,                  -- the file that it is kept in, if it is kept in one
    fired_through TEXT NOT NULL,  -- the tick up to which nothing is left to fire
    next_at INTEGER,              -- when the next tick is due; null: never again
    last_job BLOB,
    runs INTEGER NOT NULL DEFAULT 0,
    problem TEXT,                 -- why it cannot fire, if it cannot
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    UNIQUE (tenant, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX schedule_by_next ON schedule (next_at) WHERE paused = 0 AND next_at IS NOT NULL;
