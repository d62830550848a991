-- Changes a payment that is at the version given, with what belongs to the change.
--
-- $1: id; $2: version; $3: state; $4: whether it is unfinished; $5: body; $6: the change; $7..$10: operation, generation,
-- path and body of a request that begins, or nulls; $11: the job that sends, or null; $12..$18: step, tenant, debit, credit,
-- currency, amount and time of a posting, or nulls. No row: the payment is at another version, or there is none.
WITH moved AS (
    UPDATE haul.payment
    SET version = version + 1, state = $3, unfinished = $4, body = $5, last_change = $6,
        updated_at = date_trunc('milliseconds', clock_timestamp())
    WHERE id = $1 AND version = $2
    RETURNING id
), stored AS (
    INSERT INTO haul.payment_request (payment, operation, generation, path, body)
    SELECT id, $7, $8, $9, $10 FROM moved WHERE $7::integer IS NOT NULL
), sent AS (
    UPDATE haul.payment_job SET has_sent = true FROM moved WHERE job = $11 AND NOT has_sent
), posted AS (
    INSERT INTO haul.posting (payment, step, tenant, debit, credit, currency, amount, at)
    SELECT id, $12, $13, $14, $15, $16, $17, $18 FROM moved WHERE $12::text IS NOT NULL
)
SELECT id FROM moved
