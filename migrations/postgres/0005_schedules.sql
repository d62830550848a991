-- Schedules: jobs that are to be accepted again and again, and how far each of them has come.

CREATE TABLE haul.schedule (
    id uuid PRIMARY KEY,
    tenant text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    version bigint NOT NULL DEFAULT 1,
    paused boolean NOT NULL,
    spec text NOT NULL,
    template text NOT NULL,
    source text COLLATE "C",
    fired_through text COLLATE "C" NOT NULL,
    next_at timestamptz,
    last_job uuid,
    runs bigint NOT NULL DEFAULT 0,
    problem text,
    created_at timestamptz NOT NULL DEFAULT date_trunc('milliseconds', clock_timestamp()),
    updated_at timestamptz NOT NULL DEFAULT date_trunc('milliseconds', clock_timestamp()),
    UNIQUE (tenant, name)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);
CREATE INDEX schedule_by_next ON haul.schedule (next_at) WHERE NOT paused AND next_at IS NOT NULL;
COMMENT ON TABLE haul.schedule IS 'What is to be accepted again and again. Steps and edits guard each other: see docs/decisions/0120.';
COMMENT ON COLUMN haul.schedule.version IS 'Grows with every edit, pause and resume.';
COMMENT ON COLUMN haul.schedule.spec IS 'When it fires, as JSON.';
COMMENT ON COLUMN haul.schedule.template IS 'What every job of it is made of, as JSON.';
COMMENT ON COLUMN haul.schedule.source IS 'The file that it is kept in, if it is kept in one.';
COMMENT ON COLUMN haul.schedule.fired_through IS 'The tick up to which nothing is left to fire.';
COMMENT ON COLUMN haul.schedule.next_at IS 'When the next tick is due; null: never again.';
COMMENT ON COLUMN haul.schedule.problem IS 'Why it cannot fire, if it cannot.';
