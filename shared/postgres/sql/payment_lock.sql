-- Locks a payment for a change. $1: its id. No row: there is none.
SELECT tenant, version, last_change, body FROM haul.payment WHERE id = $1 FOR UPDATE
