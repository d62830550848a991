-- Every queue with its kinds, in order.
SELECT queue.tenant, queue.name, queue.paused, queue.slots, queue.created_at,
    array(SELECT kind FROM haul.queue_kind AS known
        WHERE known.tenant = queue.tenant AND known.queue = queue.name ORDER BY kind) AS "kinds!"
FROM haul.queue
ORDER BY queue.tenant, queue.name
