-- Books: payments, what was sent for them, which jobs work on them, and what moved. As in Postgres.

CREATE TABLE payment (
    id BLOB NOT NULL PRIMARY KEY,
    tenant TEXT NOT NULL,
    version INTEGER NOT NULL,
    state TEXT NOT NULL,
    unfinished INTEGER NOT NULL,  -- whether some operation is not final
    amount INTEGER NOT NULL CHECK (amount > 0),
    currency TEXT NOT NULL CHECK (currency GLOB '[A-Z][A-Z][A-Z]'),
    body TEXT NOT NULL,           -- source, metadata and operations, as JSON
    last_change BLOB,             -- so that a change that is sent again is recognised
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX payment_by_tenant ON payment (tenant, id);
CREATE INDEX payment_by_state ON payment (tenant, state, id);
CREATE INDEX payment_unfinished ON payment (id) WHERE unfinished = 1;

-- What is sent to the provider under one key, byte for byte; stored before the first send. Append-only.
CREATE TABLE payment_request (
    payment BLOB NOT NULL,
    operation INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    path TEXT NOT NULL,
    body BLOB NOT NULL,
    stored_at INTEGER NOT NULL,
    PRIMARY KEY (payment, operation, generation)
) STRICT, WITHOUT ROWID;

-- The jobs that may work on an operation. Those that have sent cannot be cancelled.
CREATE TABLE payment_job (
    job BLOB NOT NULL PRIMARY KEY,
    payment BLOB NOT NULL,
    operation INTEGER NOT NULL,
    has_sent INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

-- Money that moved from one account (credit) to another (debit): a row is balanced by its form. Append-only.
CREATE TABLE posting (
    payment BLOB NOT NULL,
    step TEXT NOT NULL,
    tenant TEXT NOT NULL,
    debit TEXT NOT NULL,
    credit TEXT NOT NULL,
    currency TEXT NOT NULL CHECK (currency GLOB '[A-Z][A-Z][A-Z]'),
    amount INTEGER NOT NULL CHECK (amount > 0),
    at INTEGER NOT NULL,
    PRIMARY KEY (payment, step),
    CHECK (debit <> credit)
) STRICT, WITHOUT ROWID;
CREATE INDEX posting_by_tenant ON posting (tenant);

-- The two sides of each posting: what an account gained, or gave (below zero).
CREATE VIEW entry AS
SELECT payment, step, tenant, debit AS account, currency, amount, at FROM posting
UNION ALL
SELECT payment, step, tenant, credit, currency, -amount, at FROM posting;

CREATE TRIGGER posting_stays BEFORE UPDATE ON posting
BEGIN SELECT RAISE(ABORT, 'postings are never changed'); END;
CREATE TRIGGER posting_is_kept BEFORE DELETE ON posting
BEGIN SELECT RAISE(ABORT, 'postings are never deleted'); END;
CREATE TRIGGER payment_request_stays BEFORE UPDATE ON payment_request
BEGIN SELECT RAISE(ABORT, 'stored requests are never changed'); END;
CREATE TRIGGER payment_request_is_kept BEFORE DELETE ON payment_request
BEGIN SELECT RAISE(ABORT, 'stored requests are never deleted'); END;

-- Events of the provider that were taken in; forgotten after 30 days.
CREATE TABLE provider_event (
    id TEXT NOT NULL PRIMARY KEY,
    at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX provider_event_by_time ON provider_event (at);
