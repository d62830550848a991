-- Notes that an event of the provider was taken in, and forgets some of those that nobody will send again. $1: its id.
WITH forgotten AS (
    DELETE FROM haul.provider_event WHERE id IN (
        SELECT id FROM haul.provider_event WHERE at < now() - interval '30 days' ORDER BY at LIMIT 10
        FOR UPDATE SKIP LOCKED
    )
)
INSERT INTO haul.provider_event (id) VALUES ($1) ON CONFLICT (id) DO NOTHING
