-- haul.enqueue: a job in a transaction of the user's own, visible if and only if that transaction commits.
--
-- It runs with the rights of Haul's role: an application needs only USAGE on the schema. Nothing in it waits for
-- another transaction, or makes another wait: queues and kinds are registered when the receipt is repaired.

-- A new UUIDv7 on this server's clock, with microseconds in the bits that RFC 9562 (section 6.2, method 3) gives to
-- them.
CREATE FUNCTION haul.new_id() RETURNS uuid
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    us CONSTANT bigint := extract(epoch FROM clock_timestamp()) * 1000000;
    random CONSTANT text := replace(gen_random_uuid()::text, '-', '');
BEGIN
    RETURN (lpad(to_hex(us / 1000), 12, '0') || '7' || lpad(to_hex(us % 1000 * 4096 / 1000), 3, '0')
        || substr(random, 17))::uuid;
END
$$;

-- An argument's fault, with what is accepted.
CREATE FUNCTION haul.refuse(argument text, fault text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'haul.enqueue: % %', argument, fault USING ERRCODE = 'invalid_parameter_value';
END
$$;

-- Names have one alphabet everywhere.
CREATE FUNCTION haul.check_name(argument text, name text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF name IS NULL OR name COLLATE "C" !~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$' THEN
        PERFORM haul.refuse(argument,
            'must have 1 to 100 letters, digits, ''.'', ''_'' or ''-'', and begin with a letter or digit');
    END IF;
END
$$;

-- A duration as the options write it.
CREATE FUNCTION haul.span(length interval) RETURNS text
LANGUAGE sql IMMUTABLE STRICT
RETURN floor(extract(epoch FROM length) * 1000)::bigint || 'ms';

-- The stored form of a job's options; null when all are at their defaults.
CREATE FUNCTION haul.options(max_attempts integer, timeout interval, deadline timestamptz, tags jsonb) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    options jsonb := '{}';
BEGIN
    IF max_attempts IS NOT NULL THEN
        IF max_attempts NOT BETWEEN 1 AND 1000 THEN
            PERFORM haul.refuse('max_attempts', 'must be 1 to 1000');
        END IF;
        options := options || jsonb_build_object('retry', jsonb_build_object('max_attempts', max_attempts));
    END IF;
    IF timeout IS NOT NULL THEN
        IF timeout < interval '1 millisecond' OR timeout > interval '24 hours' THEN
            PERFORM haul.refuse('timeout', 'must be 1 millisecond to 24 hours');
        END IF;
        options := options || jsonb_build_object('timeout', haul.span(timeout));
    END IF;
    IF deadline IS NOT NULL THEN
        IF NOT isfinite(deadline) OR deadline > clock_timestamp() + interval '3660 days' THEN
            PERFORM haul.refuse('deadline', 'must be a time within ten years');
        END IF;
        options := options || jsonb_build_object('deadline',
            to_char(deadline AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'));
    END IF;
    IF tags IS NOT NULL AND tags <> '{}' THEN
        IF jsonb_typeof(tags) <> 'object' THEN
            PERFORM haul.refuse('tags', 'must be an object of strings');
        END IF;
        IF (SELECT count(*) > 16 OR bool_or(jsonb_typeof(tag.value) <> 'string'
                OR char_length(tag.key) NOT BETWEEN 1 AND 64 OR char_length(tag.value #>> '{}') > 256)
            FROM jsonb_each(tags) AS tag) THEN
            PERFORM haul.refuse('tags', 'must be at most 16 strings of at most 256 characters, with names of 1 to 64');
        END IF;
        options := options || jsonb_build_object('tags', tags);
    END IF;
    RETURN nullif(options::text, '{}');
END
$$;

-- haul.enqueue for callers that have the payload as bytes. They must be JSON in UTF-8, which is not checked here: a
-- payload that does not decode fails its job.
CREATE FUNCTION haul.enqueue_bytes(
    kind text,
    payload bytea,
    queue text DEFAULT 'default',
    priority integer DEFAULT 5,
    run_at timestamptz DEFAULT NULL,
    delay interval DEFAULT NULL,
    max_attempts integer DEFAULT NULL,
    timeout interval DEFAULT NULL,
    deadline timestamptz DEFAULT NULL,
    tags jsonb DEFAULT NULL,
    tenant text DEFAULT 'default'
) RETURNS uuid
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    job_options CONSTANT text := haul.options(max_attempts, timeout, deadline, tags);
    job_id uuid;
    due timestamptz;
BEGIN
    PERFORM haul.check_name('kind', kind);
    PERFORM haul.check_name('queue', queue);
    PERFORM haul.check_name('tenant', tenant);
    IF priority IS NULL OR priority NOT BETWEEN 0 AND 9 THEN
        PERFORM haul.refuse('priority', 'must be 0 (first) to 9 (last)');
    END IF;
    IF payload IS NULL OR octet_length(payload) > 262144 THEN
        PERFORM haul.refuse('payload', 'must be JSON of at most 256 KiB');
    END IF;
    IF run_at IS NOT NULL AND delay IS NOT NULL THEN
        PERFORM haul.refuse('run_at', 'and delay exclude each other');
    END IF;
    IF delay < interval '0' THEN
        PERFORM haul.refuse('delay', 'must not be negative');
    END IF;
    due := coalesce(run_at, clock_timestamp() + coalesce(delay, interval '0'));
    IF NOT isfinite(due) OR due > clock_timestamp() + interval '3660 days' THEN
        PERFORM haul.refuse(CASE WHEN delay IS NULL THEN 'run_at' ELSE 'delay' END, 'must lie within ten years');
    END IF;
    -- A look without a lock: the limits are there against runaway names, not to be exact.
    IF NOT EXISTS (SELECT FROM haul.queue_kind AS known
        WHERE known.tenant = $11 AND known.queue = $3 AND known.kind = $1) THEN
        IF (SELECT count(*) FROM haul.queue_kind AS known WHERE known.tenant = $11 AND known.queue = $3) >= 1000 THEN
            PERFORM haul.refuse('kind', 'is new, and its queue has 1000 kinds, more are not allowed');
        END IF;
        IF NOT EXISTS (SELECT FROM haul.queue AS known WHERE known.tenant = $11 AND known.name = $3)
            AND (SELECT count(*) FROM haul.queue AS known WHERE known.tenant = $11) >= 10000 THEN
            PERFORM haul.refuse('queue', 'is new, and the tenant has 10000 queues, more are not allowed');
        END IF;
    END IF;
    -- From here on close_minutes waits for this transaction: before the id is made, so that nothing overtakes it.
    LOCK TABLE ONLY haul.job IN ROW EXCLUSIVE MODE;
    job_id := haul.new_id();
    IF to_regclass('haul.job' || to_char(clock_timestamp() AT TIME ZONE 'UTC', '"_"YYYYMMDD')) IS NULL THEN
        RAISE EXCEPTION 'haul.enqueue: there is no storage for today''s jobs'
            USING HINT = 'Haul prepares it for 14 days ahead: start one of its processes, or run `haul migrate`.',
                ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    INSERT INTO haul.job (id, run_at, priority, tenant, queue, kind, payload, options)
    VALUES (job_id, date_trunc('milliseconds', due), $4, $11, $3, $1, $2, job_options);
    INSERT INTO haul.receipt (id, owner, first, last)
    VALUES (job_id, '00000000-0000-0000-0000-000000000000', job_id, job_id);
    -- Any number of these in one transaction are one.
    PERFORM pg_notify('haul_receipt', '');
    RETURN job_id;
END
$$;

-- Adds a job. Returns its id. `run_at` or `delay`, not both; `priority` 0 (first) to 9 (last).
CREATE FUNCTION haul.enqueue(
    kind text,
    payload jsonb DEFAULT '{}',
    queue text DEFAULT 'default',
    priority integer DEFAULT 5,
    run_at timestamptz DEFAULT NULL,
    delay interval DEFAULT NULL,
    max_attempts integer DEFAULT NULL,
    timeout interval DEFAULT NULL,
    deadline timestamptz DEFAULT NULL,
    tags jsonb DEFAULT NULL,
    tenant text DEFAULT 'default'
) RETURNS uuid
LANGUAGE sql VOLATILE
RETURN haul.enqueue_bytes(kind, convert_to(payload::text, 'UTF8'), queue, priority, run_at, delay, max_attempts,
    timeout, deadline, tags, tenant);
