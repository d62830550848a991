-- Adds a job in the caller's own transaction. $1..$11: the arguments of haul.enqueue_bytes; $10: tags as JSON text.
SELECT haul.enqueue_bytes(kind => $1, payload => $2, queue => $3, priority => $4, run_at => $5, delay => $6,
    max_attempts => $7, timeout => $8, deadline => $9, tags => $10::text::jsonb, tenant => $11) AS "id!"
