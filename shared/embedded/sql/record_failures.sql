-- Adds failed attempts; a second failure of an attempt changes nothing.
--
-- ?1: rows as JSON arrays, sorted, of job, attempt, at, retry_at, crashed, error, error_detail; where job is an offset
-- into ?2, and the last two are two elements each, offset and length in ?2 (null: none).
INSERT INTO failure (job, attempt, at, retry_at, crashed, error, error_detail)
SELECT substr(?2, value ->> 0, 16), value ->> 1, value ->> 2, value ->> 3, value ->> 4,
    CAST(substr(?2, value ->> 5, value ->> 6) AS TEXT), CAST(substr(?2, value ->> 7, value ->> 8) AS TEXT)
FROM jsonb_each(?1)
WHERE true
ON CONFLICT (job, attempt) DO NOTHING
