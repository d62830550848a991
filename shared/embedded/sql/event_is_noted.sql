-- Whether an event of the provider was taken in. ?1: its id. No row: it was not.
SELECT at FROM provider_event WHERE id = ?1
