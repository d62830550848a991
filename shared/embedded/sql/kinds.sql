-- Every kind that is known, of every tenant and queue. Each queue has at least one.
SELECT tenant, queue, kind FROM queue_kind
