-- Registers queues. $1: tenant; $2: names, sorted.
INSERT INTO haul.queue (tenant, name) SELECT $1, name FROM unnest($2::text[]) AS name ON CONFLICT DO NOTHING
