-- The ledger: what was asked, what came of it, and what may still have to reach the dispatch.
--
-- `job`, `outcome` and `failure` are append-only and partitioned by day of the UUIDv7 id: retention drops partitions,
-- and no vacuum debt builds up. Everything else is small. Times are whole milliseconds on this server's clock.

-- The smallest id of a millisecond: a bound of ranges, never a job's own id (RFC 9562, version 7, section 5.7).
CREATE FUNCTION haul.id_floor(at timestamptz) RETURNS uuid
LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT
RETURN (lpad(to_hex(greatest(0, least(281474976710655, floor(extract(epoch FROM at) * 1000)))::bigint), 12, '0')
    || '00000000000000000000')::uuid;

CREATE TABLE haul.job (
    id uuid PRIMARY KEY,
    run_at timestamptz NOT NULL,
    priority smallint NOT NULL,
    tenant text COLLATE "C" NOT NULL,
    queue text COLLATE "C" NOT NULL,
    kind text COLLATE "C" NOT NULL,
    payload bytea NOT NULL,
    options text COLLATE "C"
) PARTITION BY RANGE (id);
COMMENT ON TABLE haul.job IS 'What was asked. Never changes.';
COMMENT ON COLUMN haul.job.payload IS 'JSON, byte for byte as it came.';
COMMENT ON COLUMN haul.job.options IS 'JSON of what differs from the defaults; null when nothing does.';

CREATE TABLE haul.outcome (
    id uuid PRIMARY KEY,
    finished_at timestamptz NOT NULL,
    attempt integer NOT NULL,
    state smallint NOT NULL,
    tenant text COLLATE "C" NOT NULL,
    result bytea,
    error text,
    error_detail text
) PARTITION BY RANGE (id);
CREATE INDEX outcome_by_state ON haul.outcome (tenant, state, id);
COMMENT ON TABLE haul.outcome IS 'How a job ended. The first row to commit is the only one.';
COMMENT ON COLUMN haul.outcome.state IS '1 succeeded, 2 dead, 3 cancelled.';

CREATE TABLE haul.failure (
    job uuid NOT NULL,
    attempt integer NOT NULL,
    at timestamptz NOT NULL,
    retry_at timestamptz NOT NULL,
    error text NOT NULL,
    error_detail text,
    PRIMARY KEY (job, attempt)
) PARTITION BY RANGE (job);
COMMENT ON TABLE haul.failure IS 'A failed attempt after which the job is tried again.';

CREATE TABLE haul.receipt (
    id uuid PRIMARY KEY,
    owner uuid NOT NULL,
    first uuid NOT NULL,
    last uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    taken_at timestamptz
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
COMMENT ON TABLE haul.receipt IS 'A batch whose tickets may still have to reach the dispatch.';
COMMENT ON COLUMN haul.receipt.owner IS 'The process that accepted it; all zeros: nobody.';

CREATE TABLE haul.idempotency (
    tenant text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    fingerprint bytea NOT NULL,
    job uuid NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (tenant, key)
);
CREATE INDEX idempotency_by_expiry ON haul.idempotency (expires_at);
COMMENT ON TABLE haul.idempotency IS 'Requests under one key are one request, until it expires.';

CREATE TABLE haul.queue (
    tenant text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    paused boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant, name)
);
CREATE TABLE haul.queue_kind (
    tenant text COLLATE "C" NOT NULL,
    queue text COLLATE "C" NOT NULL,
    kind text COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant, queue, kind),
    FOREIGN KEY (tenant, queue) REFERENCES haul.queue (tenant, name)
);
COMMENT ON TABLE haul.queue_kind IS 'Every kind that was ever accepted into a queue.';

CREATE TABLE haul.process (
    id uuid PRIMARY KEY,
    role text NOT NULL,
    alive_at timestamptz NOT NULL
);

-- What is closed: history that looking for unsettled jobs never reads. See docs/decisions/0010.
CREATE TABLE haul.closing (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    closed_through uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    next_through uuid,
    waits_for text[] NOT NULL DEFAULT '{}',
    swept_through uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000'
) WITH (fillfactor = 10);
COMMENT ON COLUMN haul.closing.closed_through IS
    'Each unsettled job up to this id is a straggler or lies in an open range.';
COMMENT ON COLUMN haul.closing.next_through IS 'Where it moves to when the transactions in waits_for have ended.';
COMMENT ON COLUMN haul.closing.swept_through IS 'Where the sweep for stragglers that have ended goes on.';
INSERT INTO haul.closing DEFAULT VALUES;

CREATE TABLE haul.straggler (
    id uuid PRIMARY KEY
);
COMMENT ON TABLE haul.straggler IS 'Jobs in closed history that were unsettled when it was closed, or came late.';

CREATE TABLE haul.open_range (
    first uuid NOT NULL,
    last uuid NOT NULL,
    looked_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (first, last)
);
COMMENT ON TABLE haul.open_range IS
    'Stretches of closed history, both ends included, with too many unsettled jobs to list.';

-- Makes the partitions of a day (UTC) where they are missing. True when it made one.
--
-- Each is made on its own and attached: CREATE .. PARTITION OF would wait for every open transaction that has touched
-- the parent, with every insert waiting behind it. An empty table needs no CHECK to be attached without a scan.
CREATE FUNCTION haul.prepare_day(day date) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    parents CONSTANT text[] := ARRAY['job', 'outcome', 'failure'];
    suffix CONSTANT text := to_char(day, '"_"YYYYMMDD');
    lower_id CONSTANT uuid := haul.id_floor(day::timestamp AT TIME ZONE 'UTC');
    upper_id CONSTANT uuid := haul.id_floor((day + 1)::timestamp AT TIME ZONE 'UTC');
    parent text;
    made boolean := false;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('haul.prepare_day', 0));
    FOREACH parent IN ARRAY parents LOOP
        CONTINUE WHEN to_regclass(format('haul.%I', parent || suffix)) IS NOT NULL;
        EXECUTE format('CREATE TABLE haul.%I (LIKE haul.%I INCLUDING ALL)', parent || suffix, parent);
        EXECUTE format('ALTER TABLE haul.%I ATTACH PARTITION haul.%I FOR VALUES FROM (%L) TO (%L)',
            parent, parent || suffix, lower_id, upper_id);
        made := true;
    END LOOP;
    RETURN made;
END
$$;
