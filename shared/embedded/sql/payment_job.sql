-- What is noted of a job. ?1: the job. No row: it works on no payment.
SELECT payment AS "payment: Uuid", operation FROM payment_job WHERE job = ?1
