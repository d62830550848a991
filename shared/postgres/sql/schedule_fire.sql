-- Moves schedules on and accepts the jobs of those that it moved, in one transaction and one round trip.
--
-- $1..$8: the steps' columns, each schedule once: id, version, from where, to where, when it is due then, the last of its
-- jobs, how many these are, why it cannot fire; $9..$16: the jobs' columns, sorted by id; $17: the schedule of each;
-- $18: the owner of their receipt; $19: receipts to delete. Returns the schedules that moved. No row: each is at another
-- version, in another place, paused or gone.
WITH done AS (
    DELETE FROM haul.receipt WHERE id = ANY ($19::uuid[])
), step AS MATERIALIZED (
    -- Locked in order, so that two batches with the same schedules never deadlock. Whoever waits here looks again.
    SELECT asked.*
    FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::text[], $5::timestamptz[], $6::uuid[], $7::bigint[],
            $8::text[])
        AS asked (id, version, origin, target, next_at, last_job, jobs, problem)
    JOIN haul.schedule ON schedule.id = asked.id
    WHERE schedule.version = asked.version AND NOT schedule.paused AND schedule.fired_through = asked.origin
    ORDER BY schedule.id
    FOR UPDATE OF schedule
), moved AS (
    UPDATE haul.schedule
    SET fired_through = step.target, next_at = step.next_at, runs = schedule.runs + step.jobs, problem = step.problem,
        last_job = coalesce(step.last_job, schedule.last_job)
    FROM step
    WHERE schedule.id = step.id AND schedule.version = step.version AND NOT schedule.paused
        AND schedule.fired_through = step.origin
    RETURNING schedule.id
), fired AS MATERIALIZED (
    SELECT asked.*
    FROM unnest($9::uuid[], $10::timestamptz[], $11::smallint[], $12::text[], $13::text[], $14::text[], $15::bytea[],
            $16::text[], $17::uuid[])
        AS asked (id, run_at, priority, tenant, queue, kind, payload, options, of_schedule)
    WHERE asked.of_schedule IN (SELECT id FROM moved)
), receipt AS (
    INSERT INTO haul.receipt (id, owner, first, last)
    SELECT lowest.id, $18, lowest.id, highest.id
    FROM (SELECT id FROM fired ORDER BY id LIMIT 1) AS lowest,
        (SELECT id FROM fired ORDER BY id DESC LIMIT 1) AS highest
    ON CONFLICT (id) DO NOTHING
), late AS (
    -- Its minute may be closed: see docs/decisions/0010.
    INSERT INTO haul.straggler (id)
    SELECT id FROM fired WHERE id < (SELECT haul.id_floor(clock_timestamp() - interval '1 minute'))
    ON CONFLICT (id) DO NOTHING
), accepted AS (
    INSERT INTO haul.job (id, run_at, priority, tenant, queue, kind, payload, options)
    SELECT id, run_at, priority, tenant, queue, kind, payload, options FROM fired
    ON CONFLICT (id) DO NOTHING
)
SELECT id FROM moved
