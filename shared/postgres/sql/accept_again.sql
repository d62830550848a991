-- `accept` for jobs of which some may be there already: an earlier answer was lost.
--
-- $1..$8: the jobs' columns, sorted by id, without duplicates; $9: the owner of the receipt; $10: receipts to delete.
-- The rows affected mean nothing: a job whose id is known already is skipped, so that a batch may be sent again.
WITH done AS (
    DELETE FROM haul.receipt WHERE id = ANY ($10::uuid[])
), receipt AS (
    INSERT INTO haul.receipt (id, owner, first, last)
    VALUES (($1::uuid[])[1], $9, ($1::uuid[])[1], ($1::uuid[])[cardinality($1::uuid[])])
    ON CONFLICT (id) DO NOTHING
), late AS (
    -- Its minute may be closed: see docs/decisions/0010.
    INSERT INTO haul.straggler (id)
    SELECT id FROM unnest($1::uuid[]) AS id
    WHERE id < (SELECT haul.id_floor(clock_timestamp() - interval '1 minute'))
    ON CONFLICT (id) DO NOTHING
)
INSERT INTO haul.job (id, run_at, priority, tenant, queue, kind, payload, options)
SELECT *
FROM unnest($1::uuid[], $2::timestamptz[], $3::smallint[], $4::text[], $5::text[], $6::text[], $7::bytea[],
    $8::text[])
ON CONFLICT (id) DO NOTHING
