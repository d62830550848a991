-- Where a payment is. ?1: its id. No row: there is none.
SELECT version, tenant, last_change AS "last_change: Uuid" FROM payment WHERE id = ?1
