-- Endpoints: where tenants hear of events, by webhooks. Events and deliveries are jobs.

CREATE TABLE haul.endpoint (
    tenant text COLLATE "C" NOT NULL,
    id uuid NOT NULL,
    version bigint NOT NULL DEFAULT 1,
    settings text NOT NULL,
    keys text NOT NULL,
    disabled text,
    failing_since timestamptz,
    created_at timestamptz NOT NULL DEFAULT date_trunc('milliseconds', clock_timestamp()),
    updated_at timestamptz NOT NULL DEFAULT date_trunc('milliseconds', clock_timestamp()),
    PRIMARY KEY (tenant, id)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);
COMMENT ON TABLE haul.endpoint IS 'Where events are delivered to.';
COMMENT ON COLUMN haul.endpoint.version IS 'Grows with every change of what is said of it, and when a report disables it.';
COMMENT ON COLUMN haul.endpoint.settings IS 'What its owner says of it, as JSON.';
COMMENT ON COLUMN haul.endpoint.keys IS 'What deliveries are signed with, as JSON. Secret.';
COMMENT ON COLUMN haul.endpoint.disabled IS 'Why nothing is delivered to it: owner, failing or gone; null: it is enabled.';
COMMENT ON COLUMN haul.endpoint.failing_since IS 'Since when every delivery has failed; null: the last one did not.';
