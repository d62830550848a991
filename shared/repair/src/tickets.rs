//! From unsettled jobs to tickets, queue by queue.

use haul_core::{QueueRef, dispatch::Ticket, ledger::Unsettled};
use std::collections::BTreeMap;

/// Sorts a page of unsettled jobs into tickets per queue, keeping their order.
pub(crate) fn by_queue(jobs: Vec<Unsettled>) -> BTreeMap<QueueRef, Vec<Ticket>> {
    let mut queues: BTreeMap<QueueRef, Vec<Ticket>> = BTreeMap::new();
    for job in jobs {
        // Due no later than it was accepted means at once: the dispatch need not look at its clock.
        let due = (job.due > job.id.created_at()).then_some(job.due);
        let ticket = Ticket { id: job.id, kind: job.kind, priority: job.priority, due };
        queues.entry(job.queue).or_default().push(ticket);
    }
    queues
}
