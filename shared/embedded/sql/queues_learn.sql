-- Makes queues known. ?1: rows as JSON arrays of tenant, queue, kind; ?2: now.
INSERT INTO queue (tenant, name, created_at)
SELECT DISTINCT value ->> 0, value ->> 1, ?2 FROM jsonb_each(?1)
WHERE true
ON CONFLICT (tenant, name) DO NOTHING
