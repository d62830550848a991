-- Locks what is noted of a job, against a cancel. $1: the job; $2: the payment; $3: the operation. No row: the job was not
-- made for this operation.
SELECT job FROM haul.payment_job WHERE job = $1 AND payment = $2 AND operation = $3 FOR UPDATE
