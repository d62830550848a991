-- Forgets some events that nobody will send again. ?1: those before this time.
DELETE FROM provider_event WHERE id IN (SELECT id FROM provider_event WHERE at < ?1 ORDER BY at LIMIT 10)
