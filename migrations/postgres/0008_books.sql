-- Books: payments, what was sent for them, which jobs work on them, and what moved. See docs/decisions/0150 to 0153.

CREATE TABLE haul.payment (
    id uuid PRIMARY KEY,
    tenant text COLLATE "C" NOT NULL,
    version bigint NOT NULL DEFAULT 1,
    state text COLLATE "C" NOT NULL,
    unfinished boolean NOT NULL,
    amount bigint NOT NULL CHECK (amount > 0),
    currency text COLLATE "C" NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    body text NOT NULL,
    last_change uuid,
    created_at timestamptz NOT NULL DEFAULT date_trunc('milliseconds', clock_timestamp()),
    updated_at timestamptz NOT NULL DEFAULT date_trunc('milliseconds', clock_timestamp())
) WITH (fillfactor = 70);
CREATE INDEX payment_by_tenant ON haul.payment (tenant, id);
CREATE INDEX payment_by_state ON haul.payment (tenant, state, id);
CREATE INDEX payment_unfinished ON haul.payment (id) WHERE unfinished;
COMMENT ON TABLE haul.payment IS 'What is to be paid and what came of it. Changed from one version to the next only.';
COMMENT ON COLUMN haul.payment.unfinished IS 'Whether some operation of it is not final.';
COMMENT ON COLUMN haul.payment.body IS 'Source, metadata and operations, as JSON.';
COMMENT ON COLUMN haul.payment.last_change IS 'The change that led here, so that one that is sent again is recognised.';

CREATE TABLE haul.payment_request (
    payment uuid NOT NULL REFERENCES haul.payment,
    operation integer NOT NULL,
    generation integer NOT NULL,
    path text NOT NULL,
    body bytea NOT NULL,
    stored_at timestamptz NOT NULL DEFAULT date_trunc('milliseconds', clock_timestamp()),
    PRIMARY KEY (payment, operation, generation)
);
COMMENT ON TABLE haul.payment_request IS 'What is sent to the provider under one key, byte for byte; stored before the first send. Append-only.';

CREATE TABLE haul.payment_job (
    job uuid PRIMARY KEY,
    payment uuid NOT NULL REFERENCES haul.payment,
    operation integer NOT NULL,
    has_sent boolean NOT NULL DEFAULT false
);
COMMENT ON TABLE haul.payment_job IS 'The jobs that may work on an operation. Those that have sent cannot be cancelled.';

CREATE TABLE haul.posting (
    payment uuid NOT NULL REFERENCES haul.payment,
    step text COLLATE "C" NOT NULL,
    tenant text COLLATE "C" NOT NULL,
    debit text COLLATE "C" NOT NULL,
    credit text COLLATE "C" NOT NULL,
    currency text COLLATE "C" NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    amount bigint NOT NULL CHECK (amount > 0),
    at timestamptz NOT NULL,
    PRIMARY KEY (payment, step),
    CHECK (debit <> credit)
);
CREATE INDEX posting_by_tenant ON haul.posting (tenant);
COMMENT ON TABLE haul.posting IS 'Money that moved from one account (credit) to another (debit): a row is balanced by its form. Append-only.';

CREATE VIEW haul.entry AS
SELECT payment, step, tenant, debit AS account, currency, amount, at FROM haul.posting
UNION ALL
SELECT payment, step, tenant, credit, currency, -amount, at FROM haul.posting;
COMMENT ON VIEW haul.entry IS 'The two sides of each posting: what an account gained, or gave (below zero).';

CREATE FUNCTION haul.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rows of haul.% are never changed or deleted', TG_TABLE_NAME USING ERRCODE = '55000';
END
$$;
CREATE TRIGGER posting_is_final BEFORE UPDATE OR DELETE OR TRUNCATE ON haul.posting
    FOR EACH STATEMENT EXECUTE FUNCTION haul.refuse_change();
CREATE TRIGGER payment_request_is_final BEFORE UPDATE OR DELETE OR TRUNCATE ON haul.payment_request
    FOR EACH STATEMENT EXECUTE FUNCTION haul.refuse_change();

CREATE TABLE haul.provider_event (
    id text COLLATE "C" PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT date_trunc('milliseconds', clock_timestamp())
);
CREATE INDEX provider_event_by_time ON haul.provider_event (at);
COMMENT ON TABLE haul.provider_event IS 'Events of the provider that were taken in; forgotten after 30 days.';
