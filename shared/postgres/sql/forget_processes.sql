-- Forgets processes that were silent for a day.
DELETE FROM haul.process WHERE alive_at < now() - interval '1 day'
