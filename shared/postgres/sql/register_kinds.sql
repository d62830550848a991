-- Registers kinds of queues that are registered. $1: tenant; $2: queues and $3: kinds, in pairs, sorted.
INSERT INTO haul.queue_kind (tenant, queue, kind)
SELECT $1, pair.queue, pair.kind FROM unnest($2::text[], $3::text[]) AS pair (queue, kind)
ON CONFLICT DO NOTHING
