-- Every queue of every tenant with its kinds, a row each, in order.
SELECT queue.tenant, queue.name, queue.paused AS "paused: bool", queue.slots, queue.created_at, queue_kind.kind
FROM queue
CROSS JOIN queue_kind ON queue_kind.tenant = queue.tenant AND queue_kind.queue = queue.name
ORDER BY queue.tenant, queue.name, queue_kind.kind
