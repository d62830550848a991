-- Notes that a job sends: it cannot be cancelled any more. ?1: the job.
UPDATE payment_job SET has_sent = 1 WHERE job = ?1
