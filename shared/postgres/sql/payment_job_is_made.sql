-- Whether a job is noted as working on a payment. $1: the job.
SELECT EXISTS (SELECT FROM haul.payment_job WHERE job = $1) AS "is_made!"
