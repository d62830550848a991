-- Makes kinds known. ?1: rows as JSON arrays of tenant, queue, kind.
INSERT INTO queue_kind (tenant, queue, kind)
SELECT value ->> 0, value ->> 1, value ->> 2 FROM jsonb_each(?1)
WHERE true
ON CONFLICT (tenant, queue, kind) DO NOTHING
