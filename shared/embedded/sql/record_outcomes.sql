-- Ends jobs that have no outcome yet; a second outcome changes nothing.
--
-- ?1: rows as JSON arrays, sorted by id, of id, finished_at, attempt, state, tenant, result, error, error_detail; where id
-- is an offset into ?2, and the last three are two elements each, offset and length in ?2 (null: none).
INSERT INTO outcome (id, finished_at, attempt, state, tenant, result, error, error_detail)
SELECT substr(?2, value ->> 0, 16), value ->> 1, value ->> 2, value ->> 3, value ->> 4, substr(?2, value ->> 5, value ->> 6),
    CAST(substr(?2, value ->> 7, value ->> 8) AS TEXT), CAST(substr(?2, value ->> 9, value ->> 10) AS TEXT)
FROM jsonb_each(?1)
WHERE true
ON CONFLICT (id) DO NOTHING
