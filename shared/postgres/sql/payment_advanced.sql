-- Whether a payment's last change is this one. $1: its id; $2: the change. No row: it is not.
SELECT 1 AS "one!" FROM haul.payment WHERE id = $1 AND last_change = $2
