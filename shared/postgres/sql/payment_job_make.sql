-- Notes that a job works on an operation. $1: job; $2: payment; $3: operation. No row is changed: it is noted already.
INSERT INTO haul.payment_job (job, payment, operation) VALUES ($1, $2, $3) ON CONFLICT (job) DO NOTHING
