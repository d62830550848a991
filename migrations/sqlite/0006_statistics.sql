-- Statistics: what was accepted in each hour and what came of it; and which schedules Haul has brought along. As in
-- Postgres.

CREATE TABLE statistic (
    hour INTEGER NOT NULL,
    tenant TEXT NOT NULL,
    queue TEXT NOT NULL,
    kind TEXT NOT NULL,
    accepted INTEGER NOT NULL,
    succeeded INTEGER NOT NULL,
    dead INTEGER NOT NULL,
    cancelled INTEGER NOT NULL,
    failures INTEGER NOT NULL,
    took_ms_sum INTEGER NOT NULL, -- from being due to the outcome, of those that succeeded or died
    took_ms_max INTEGER NOT NULL,
    PRIMARY KEY (tenant, queue, hour, kind)
) STRICT, WITHOUT ROWID;
CREATE INDEX statistic_by_hour ON statistic (hour);

-- Every hour is counted several times: the next one, for each of these rounds.
CREATE TABLE statistic_round (
    round INTEGER NOT NULL PRIMARY KEY,
    next_hour INTEGER NOT NULL
) STRICT;
INSERT INTO statistic_round VALUES (1, 0), (2, 0), (3, 0);

-- Schedules that came with Haul, also those that were deleted since: never again.
CREATE TABLE schedule_brought (
    tenant TEXT NOT NULL,
    name TEXT NOT NULL,
    PRIMARY KEY (tenant, name)
) STRICT, WITHOUT ROWID;
