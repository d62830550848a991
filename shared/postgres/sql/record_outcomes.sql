-- The hot path of `record`: outcomes only, without follow-ups.
--
-- $1..$8: the outcomes' columns, sorted by id, each job once; $9, $10: the lowest and the highest job. Returns the jobs
-- whose outcome this is. No row for a job: there is no such job. A job that had an outcome already is an error, 23505:
-- then `record` is to be sent instead. See docs/decisions/0012.
INSERT INTO haul.outcome (id, finished_at, attempt, state, tenant, result, error, error_detail)
SELECT asked.*
FROM unnest($1::uuid[], $2::timestamptz[], $3::integer[], $4::smallint[], $5::text[], $6::bytea[], $7::text[],
        $8::text[])
    AS asked (id, finished_at, attempt, state, tenant, result, error, error_detail)
CROSS JOIN LATERAL (
    SELECT FROM haul.job WHERE id = asked.id AND id BETWEEN $9 AND $10 AND tenant = asked.tenant LIMIT 1
) AS job
RETURNING id
