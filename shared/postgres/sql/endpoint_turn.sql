-- Waits for this transaction's turn at a tenant's endpoints: they are counted before one is added. $1: tenant.
SELECT pg_advisory_xact_lock(hashtextextended($1, 7730214)) AS "turn!: ()"
