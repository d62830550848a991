-- Retention: days that are closed and dropped, and the jobs that outlive their day. See docs/decisions/0130.

-- Jobs of closed days that were unfinished, or had just ended, when their day was closed; with all that belongs to them.
-- Together with the partitioned tables they hold each job exactly once. A column that those gain, these gain too, and so
-- do the views below.
CREATE TABLE haul.kept_job (LIKE haul.job INCLUDING ALL);
CREATE TABLE haul.kept_outcome (LIKE haul.outcome INCLUDING ALL);
CREATE TABLE haul.kept_failure (LIKE haul.failure INCLUDING ALL);
COMMENT ON TABLE haul.kept_job IS 'Jobs that outlive their day. Looked into for what is not in haul.job.';

-- Both places in one statement, and so at one moment. For all but the hot path.
CREATE VIEW haul.every_job AS
    SELECT id, run_at, priority, tenant, queue, kind, payload, options FROM haul.job
    UNION ALL SELECT id, run_at, priority, tenant, queue, kind, payload, options FROM haul.kept_job;
CREATE VIEW haul.every_outcome AS
    SELECT id, finished_at, attempt, state, tenant, result, error, error_detail FROM haul.outcome
    UNION ALL SELECT id, finished_at, attempt, state, tenant, result, error, error_detail FROM haul.kept_outcome;
CREATE VIEW haul.every_failure AS
    SELECT job, attempt, at, retry_at, error, error_detail, crashed FROM haul.failure
    UNION ALL SELECT job, attempt, at, retry_at, error, error_detail, crashed FROM haul.kept_failure;

CREATE TABLE haul.retention (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    closed_before uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    dropped_before uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000'
);
COMMENT ON COLUMN haul.retention.closed_before IS 'No partition of a day before this id is ever made again.';
COMMENT ON COLUMN haul.retention.dropped_before IS 'Days before this id may have been dropped.';
INSERT INTO haul.retention DEFAULT VALUES;

CREATE TABLE haul.day (
    day date PRIMARY KEY,
    surveyed_through uuid,
    held_at timestamptz,
    closed_at timestamptz,
    is_dropping boolean NOT NULL DEFAULT false,
    erased_through uuid
);
COMMENT ON TABLE haul.day IS 'Days (UTC) that are being closed, or closed, and not dropped yet.';
COMMENT ON COLUMN haul.day.surveyed_through IS 'Up to here its jobs were looked through for those that outlive it.';
COMMENT ON COLUMN haul.day.held_at IS 'When too many of them were found to close it.';
COMMENT ON COLUMN haul.day.is_dropping IS 'Some of it may be gone: it is dropped whatever is kept now.';
COMMENT ON COLUMN haul.day.erased_through IS 'Up to here its payloads are erased.';

CREATE TABLE haul.outliving (
    id uuid PRIMARY KEY
);
COMMENT ON TABLE haul.outliving IS 'What the survey of a day has found. Until the day is closed only.';

-- The suffix of a day's partitions, and its ends.
CREATE FUNCTION haul.day_suffix(day date) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT
RETURN to_char(day, '"_"YYYYMMDD');
CREATE FUNCTION haul.day_floor(day date) RETURNS uuid
LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT
RETURN haul.id_floor(day::timestamp AT TIME ZONE 'UTC');

-- As before, but for days that are closed: those are never made again.
CREATE OR REPLACE FUNCTION haul.prepare_day(day date) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    parents CONSTANT text[] := ARRAY['job', 'outcome', 'failure'];
    suffix CONSTANT text := haul.day_suffix(day);
    parent text;
    made boolean := false;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('haul.prepare_day', 0));
    IF haul.day_floor(day) < (SELECT closed_before FROM haul.retention) THEN
        RAISE EXCEPTION 'the day % is closed', day
            USING HINT = 'Ids of closed days are accepted no more.', ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    FOREACH parent IN ARRAY parents LOOP
        CONTINUE WHEN to_regclass(format('haul.%I', parent || suffix)) IS NOT NULL;
        EXECUTE format('CREATE TABLE haul.%I (LIKE haul.%I INCLUDING ALL)', parent || suffix, parent);
        EXECUTE format('ALTER TABLE haul.%I ATTACH PARTITION haul.%I FOR VALUES FROM (%L) TO (%L)',
            parent, parent || suffix, haul.day_floor(day), haul.day_floor(day + 1));
        made := true;
    END LOOP;
    RETURN made;
END
$$;

-- Moves on up to where days may be closed, under the lock of prepare_day (whoever makes a day has made it by then), and
-- up to where they may be dropped. Returns how many days are held.
CREATE FUNCTION haul.begin_retention(keeps_from uuid) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    open_from CONSTANT uuid := haul.id_floor(
        date_trunc('day', clock_timestamp() AT TIME ZONE 'UTC' - interval '24 hours') AT TIME ZONE 'UTC');
BEGIN
    IF (SELECT closed_before FROM haul.retention) < open_from THEN
        PERFORM pg_advisory_xact_lock(hashtextextended('haul.prepare_day', 0));
        UPDATE haul.retention SET closed_before = open_from WHERE closed_before < open_from;
    END IF;
    UPDATE haul.retention SET dropped_before = keeps_from WHERE dropped_before < keeps_from;
    RETURN (SELECT count(*) FROM haul.day WHERE held_at IS NOT NULL);
END
$$;

-- What a closed day says to new jobs. A job that is there already was sent again: it is passed over.
CREATE FUNCTION haul.refuse_late() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM haul.every_job WHERE id = NEW.id) THEN
        RETURN NULL;
    END IF;
    RAISE EXCEPTION 'the job % comes too late: its day is closed', NEW.id
        USING ERRCODE = 'object_not_in_prerequisite_state';
END
$$;

-- What a closed day says to outcomes and failures: its jobs have ended. One that was moved takes them where it is now.
CREATE FUNCTION haul.pass_over_late() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RETURN NULL;
END
$$;

-- Since when a job must have ended not to outlive its day: since the day could be closed, or a day ago.
CREATE FUNCTION haul.outlives_from(day date) RETURNS timestamptz
LANGUAGE sql STABLE STRICT
RETURN greatest((day + 2)::timestamp AT TIME ZONE 'UTC', clock_timestamp() - interval '24 hours');

-- Looks through the next jobs of a day, at most so many, for those that outlive it. Locks nothing: see haul.close_day.
-- Returns whether the whole day has been looked through.
CREATE FUNCTION haul.survey_day(day date, jobs_max integer) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    after uuid := coalesce((SELECT surveyed_through FROM haul.day WHERE day.day = $1), haul.day_floor($1));
    last CONSTANT uuid := haul.day_floor($1 + 1);
    ended_from CONSTANT timestamptz := haul.outlives_from($1);
    ends uuid;
BEGIN
    SELECT id INTO ends FROM haul.job WHERE id >= after AND id < last ORDER BY id OFFSET jobs_max LIMIT 1;
    INSERT INTO haul.outliving (id)
    SELECT job.id
    FROM haul.job
    LEFT JOIN (
        SELECT id, finished_at FROM haul.outcome WHERE id >= after AND id < coalesce(ends, last)
    ) AS outcome ON outcome.id = job.id
    WHERE job.id >= after AND job.id < coalesce(ends, last)
        AND (outcome.id IS NULL OR outcome.finished_at >= ended_from)
    ON CONFLICT (id) DO NOTHING;
    INSERT INTO haul.day AS known (day, surveyed_through) VALUES ($1, coalesce(ends, last))
    ON CONFLICT ON CONSTRAINT day_pkey DO UPDATE SET surveyed_through = excluded.surveyed_through;
    RETURN ends IS NULL;
END
$$;

-- Closes a day that was surveyed: waits for its open writers, for a moment, moves what outlives it and lets nothing in
-- any more. Returns how many jobs were moved; -1: more than so many would have to be, and nothing was done.
--
-- Whoever writes into a partition holds its lock from then on until the end of the transaction, so that under the lock
-- everything is decided: what the survey saw as unsettled, or came late and listed itself, has an outcome now or has
-- none. It does not stop readers. One statement, so that a client that dies holds nobody up.
CREATE FUNCTION haul.close_day(day date, moved_max integer) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
    suffix CONSTANT text := haul.day_suffix(day);
    lower_id CONSTANT uuid := haul.day_floor(day);
    upper_id CONSTANT uuid := haul.day_floor(day + 1);
    ended_from CONSTANT timestamptz := haul.outlives_from(day);
    kept uuid[];
BEGIN
    EXECUTE format('LOCK TABLE ONLY haul.%I, ONLY haul.%I, ONLY haul.%I IN SHARE ROW EXCLUSIVE MODE',
        'job' || suffix, 'outcome' || suffix, 'failure' || suffix);
    IF clock_timestamp() < (day + 2)::timestamp AT TIME ZONE 'UTC'
        OR NOT EXISTS (SELECT FROM haul.day AS known
            WHERE known.day = $1 AND surveyed_through = upper_id AND closed_at IS NULL) THEN
        RAISE EXCEPTION 'the day % is not to be closed yet', day USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    SELECT array_agg(job.id) INTO kept
    FROM (
        SELECT id FROM haul.outliving WHERE id >= lower_id AND id < upper_id
        UNION SELECT id FROM haul.straggler WHERE id >= lower_id AND id < upper_id
    ) AS asked
    CROSS JOIN LATERAL (
        SELECT id FROM haul.job WHERE id = asked.id AND id >= lower_id AND id < upper_id LIMIT 1
    ) AS job
    LEFT JOIN LATERAL (
        SELECT id, finished_at FROM haul.outcome WHERE id = asked.id AND id >= lower_id AND id < upper_id LIMIT 1
    ) AS outcome ON true
    WHERE outcome.id IS NULL OR outcome.finished_at >= ended_from;
    IF cardinality(kept) > moved_max THEN
        RETURN -1;
    END IF;
    WITH moved AS (
        DELETE FROM haul.job WHERE id = ANY (kept) AND id >= lower_id AND id < upper_id
        RETURNING id, run_at, priority, tenant, queue, kind, payload, options
    )
    INSERT INTO haul.kept_job (id, run_at, priority, tenant, queue, kind, payload, options) SELECT * FROM moved;
    WITH moved AS (
        DELETE FROM haul.outcome WHERE id = ANY (kept) AND id >= lower_id AND id < upper_id
        RETURNING id, finished_at, attempt, state, tenant, result, error, error_detail
    )
    INSERT INTO haul.kept_outcome (id, finished_at, attempt, state, tenant, result, error, error_detail)
    SELECT * FROM moved;
    WITH moved AS (
        DELETE FROM haul.failure WHERE job = ANY (kept) AND job >= lower_id AND job < upper_id
        RETURNING job, attempt, at, retry_at, error, error_detail, crashed
    )
    INSERT INTO haul.kept_failure (job, attempt, at, retry_at, error, error_detail, crashed) SELECT * FROM moved;
    -- What is unsettled among them is looked for by this list.
    INSERT INTO haul.straggler (id)
    SELECT id FROM unnest(kept) AS id WHERE id NOT IN (SELECT id FROM haul.kept_outcome WHERE id = ANY (kept))
    ON CONFLICT (id) DO NOTHING;
    EXECUTE format('CREATE TRIGGER closed BEFORE INSERT ON haul.%I FOR EACH ROW EXECUTE FUNCTION haul.refuse_late()',
        'job' || suffix);
    EXECUTE format('CREATE TRIGGER closed BEFORE INSERT ON haul.%I FOR EACH ROW EXECUTE FUNCTION haul.pass_over_late()',
        'outcome' || suffix);
    EXECUTE format('CREATE TRIGGER closed BEFORE INSERT ON haul.%I FOR EACH ROW EXECUTE FUNCTION haul.pass_over_late()',
        'failure' || suffix);
    DELETE FROM haul.outliving WHERE id >= lower_id AND id < upper_id;
    UPDATE haul.day AS known SET closed_at = clock_timestamp(), held_at = NULL WHERE known.day = $1;
    RETURN coalesce(cardinality(kept), 0);
END
$$;

-- Whether an idempotency key is free again: it has expired, or its job was dropped.
CREATE FUNCTION haul.has_lapsed(job uuid, expires_at timestamptz) RETURNS boolean
LANGUAGE sql STABLE
RETURN expires_at <= now() OR (
    job < (SELECT dropped_before FROM haul.retention) AND NOT EXISTS (SELECT FROM haul.every_job WHERE id = job)
);

-- Erases payloads, results and error details of the next jobs of a closed day, up to an id; then of kept jobs. Returns
-- how many were looked at, and whether more may be left.
CREATE FUNCTION haul.erase_payloads(before uuid, jobs_max integer, OUT erased bigint, OUT more boolean)
LANGUAGE plpgsql AS $$
DECLARE
    this date;
    after uuid;
    last uuid;
    ends uuid;
BEGIN
    SELECT day.day, coalesce(erased_through, haul.day_floor(day.day)), least(haul.day_floor(day.day + 1), before)
    INTO this, after, last
    FROM haul.day
    WHERE closed_at IS NOT NULL
        AND coalesce(erased_through, haul.day_floor(day.day)) < least(haul.day_floor(day.day + 1), before)
    ORDER BY day.day LIMIT 1
    FOR UPDATE SKIP LOCKED;
    IF FOUND THEN
        SELECT id INTO ends FROM haul.job WHERE id >= after AND id < last ORDER BY id OFFSET jobs_max LIMIT 1;
        last := coalesce(ends, last);
        UPDATE haul.outcome SET result = NULL, error_detail = NULL
        WHERE id >= after AND id < last AND (result IS NOT NULL OR error_detail IS NOT NULL);
        UPDATE haul.failure SET error_detail = NULL WHERE job >= after AND job < last AND error_detail IS NOT NULL;
        UPDATE haul.job SET payload = '' WHERE id >= after AND id < last AND payload <> '';
        GET DIAGNOSTICS erased = ROW_COUNT;
        UPDATE haul.day SET erased_through = last WHERE day.day = this;
        more := true;
        RETURN;
    END IF;
    WITH chosen AS (
        SELECT job.id FROM haul.kept_job AS job JOIN haul.kept_outcome AS outcome ON outcome.id = job.id
        WHERE job.id < before AND job.payload <> '' ORDER BY job.id LIMIT jobs_max FOR UPDATE OF job SKIP LOCKED
    ), outcomes AS (
        UPDATE haul.kept_outcome SET result = NULL, error_detail = NULL WHERE id IN (SELECT id FROM chosen)
    ), failures AS (
        UPDATE haul.kept_failure SET error_detail = NULL WHERE job IN (SELECT id FROM chosen)
    )
    UPDATE haul.kept_job SET payload = '' WHERE id IN (SELECT id FROM chosen);
    GET DIAGNOSTICS erased = ROW_COUNT;
    more := erased >= jobs_max;
END
$$;
