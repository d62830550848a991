-- Notes that an event of the provider was taken in. ?1: its id; ?2: now.
INSERT INTO provider_event (id, at) VALUES (?1, ?2) ON CONFLICT (id) DO NOTHING
