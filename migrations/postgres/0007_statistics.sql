-- Statistics: what was accepted in each hour and what came of it; and which schedules Haul has brought along.

CREATE TABLE haul.statistic (
    hour timestamptz NOT NULL,
    tenant text COLLATE "C" NOT NULL,
    queue text COLLATE "C" NOT NULL,
    kind text COLLATE "C" NOT NULL,
    accepted bigint NOT NULL,
    succeeded bigint NOT NULL,
    dead bigint NOT NULL,
    cancelled bigint NOT NULL,
    failures bigint NOT NULL,
    took_ms_sum bigint NOT NULL,
    took_ms_max bigint NOT NULL,
    PRIMARY KEY (tenant, queue, hour, kind)
);
CREATE INDEX statistic_by_hour ON haul.statistic (hour);
COMMENT ON TABLE haul.statistic IS 'Jobs whose ids fall into an hour, and what had come of them when it was counted last.';
COMMENT ON COLUMN haul.statistic.took_ms_sum IS 'From being due to the outcome, of those that succeeded or died.';

CREATE TABLE haul.statistic_round (
    round smallint PRIMARY KEY,
    next_hour timestamptz NOT NULL
);
COMMENT ON TABLE haul.statistic_round IS 'Every hour is counted several times: the next one, for each of these rounds.';
INSERT INTO haul.statistic_round SELECT round, 'epoch' FROM generate_series(1, 3) AS round;

CREATE TABLE haul.schedule_brought (
    tenant text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant, name)
);
COMMENT ON TABLE haul.schedule_brought IS 'Schedules that came with Haul, also those that were deleted since: never again.';
