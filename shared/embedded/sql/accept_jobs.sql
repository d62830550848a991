-- Stores jobs. A job whose id is known already is skipped, so that a batch may be sent again.
--
-- ?1: rows as JSON arrays, sorted by id, of id, run_at, priority, tenant, queue, kind, payload, options; where id is an
-- offset into ?2, and payload and options are two elements each, offset and length in ?2 (null: none).
INSERT INTO job (id, run_at, priority, tenant, queue, kind, payload, options)
SELECT substr(?2, value ->> 0, 16), value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5,
    substr(?2, value ->> 6, value ->> 7), CAST(substr(?2, value ->> 8, value ->> 9) AS TEXT)
FROM jsonb_each(?1)
WHERE true
ON CONFLICT (id) DO NOTHING
