-- The ledger: what was asked, what came of it, and what may still have to reach the dispatch.
--
-- The same tables, with the same meaning, as in Postgres, without partitions. Ids are the 16 bytes of a UUIDv7, so that
-- their order is the order of acceptance; rows lie in that order in the file. Times are whole milliseconds since 1970, on
-- this machine's clock. `job`, `outcome` and `failure` are append-only.

-- What was asked. Never changes.
CREATE TABLE job (
    id BLOB NOT NULL PRIMARY KEY,
    run_at INTEGER NOT NULL,
    priority INTEGER NOT NULL,
    tenant TEXT NOT NULL,
    queue TEXT NOT NULL,
    kind TEXT NOT NULL,
    payload BLOB NOT NULL, -- JSON, byte for byte as it came
    options TEXT           -- JSON of what differs from the defaults; null when nothing does
) STRICT, WITHOUT ROWID;

-- How a job ended. The first row to commit is the only one.
CREATE TABLE outcome (
    id BLOB NOT NULL PRIMARY KEY,
    finished_at INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    state INTEGER NOT NULL, -- 1 succeeded, 2 dead, 3 cancelled
    tenant TEXT NOT NULL,
    result BLOB,
    error TEXT,
    error_detail TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX outcome_by_state ON outcome (tenant, state, id);

-- A failed attempt after which the job is tried again.
CREATE TABLE failure (
    job BLOB NOT NULL,
    attempt INTEGER NOT NULL,
    at INTEGER NOT NULL,
    retry_at INTEGER NOT NULL,
    error TEXT NOT NULL,
    error_detail TEXT,
    PRIMARY KEY (job, attempt)
) STRICT, WITHOUT ROWID;

-- A batch whose tickets may still have to reach the dispatch.
CREATE TABLE receipt (
    id BLOB NOT NULL PRIMARY KEY,
    owner BLOB NOT NULL, -- the process that accepted it; all zeros: nobody
    first BLOB NOT NULL,
    last BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    taken_at INTEGER,
    sweeps INTEGER NOT NULL DEFAULT 0 -- how often repair took it
) STRICT, WITHOUT ROWID;

-- Requests under one key are one request, until it expires.
CREATE TABLE idempotency (
    tenant TEXT NOT NULL,
    key TEXT NOT NULL,
    fingerprint BLOB NOT NULL,
    job BLOB NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_by_expiry ON idempotency (expires_at);

CREATE TABLE queue (
    tenant TEXT NOT NULL,
    name TEXT NOT NULL,
    paused INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, name)
) STRICT, WITHOUT ROWID;

-- Every kind that was ever accepted into a queue.
CREATE TABLE queue_kind (
    tenant TEXT NOT NULL,
    queue TEXT NOT NULL,
    kind TEXT NOT NULL,
    PRIMARY KEY (tenant, queue, kind)
) STRICT, WITHOUT ROWID;

CREATE TABLE process (
    id BLOB NOT NULL PRIMARY KEY,
    role TEXT NOT NULL,
    alive_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What is closed: history that looking for unsettled jobs never reads. See docs/decisions/0032-closed-minutes-in-sqlite.md.
CREATE TABLE closing (
    only_row INTEGER NOT NULL PRIMARY KEY CHECK (only_row = 1),
    closed_through BLOB NOT NULL -- every unsettled job below this id is a straggler
) STRICT, WITHOUT ROWID;
INSERT INTO closing VALUES (1, zeroblob(16));

-- Jobs in closed history that have no outcome. Exactly these: whoever writes a job or an outcome keeps it so.
CREATE TABLE straggler (
    id BLOB NOT NULL PRIMARY KEY
) STRICT, WITHOUT ROWID;
