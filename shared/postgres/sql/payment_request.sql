-- What is sent for a generation. $1: payment; $2: operation; $3: generation. No row: it was never stored.
SELECT path, body FROM haul.payment_request WHERE payment = $1 AND operation = $2 AND generation = $3
