-- Endpoints: where tenants hear of events, by webhooks. As in Postgres.

CREATE TABLE endpoint (
    tenant TEXT NOT NULL,
    id BLOB NOT NULL,
    version INTEGER NOT NULL,   -- grows with every change of what is said of it, and when a report disables it
    settings TEXT NOT NULL,     -- what its owner says of it, as JSON
    keys TEXT NOT NULL,         -- what deliveries are signed with, as JSON; secret
    disabled TEXT,              -- why nothing is delivered to it; null: it is enabled
    failing_since INTEGER,      -- since when every delivery has failed; null: the last one did not
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, id)
) STRICT, WITHOUT ROWID;
