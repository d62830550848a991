-- Notes that a job works on an operation. ?1: job; ?2: payment; ?3: operation.
INSERT INTO payment_job (job, payment, operation) VALUES (?1, ?2, ?3)
