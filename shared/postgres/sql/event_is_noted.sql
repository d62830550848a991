-- Whether an event of the provider was taken in. $1: its id.
SELECT EXISTS (SELECT FROM haul.provider_event WHERE id = $1) AS "is_noted!"
