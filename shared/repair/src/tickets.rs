//! From unsettled jobs to tickets, queue by queue.

use haul_core::{JobId, Kind, Priority, QueueRef, Timestamp, dispatch::Ticket, ledger::Unsettled};
use std::collections::BTreeMap;

/// Sorts a page of unsettled jobs into tickets per queue, keeping their order.
pub(crate) fn by_queue(jobs: Vec<Unsettled>) -> BTreeMap<QueueRef, Vec<Ticket>> {
    let mut queues: BTreeMap<QueueRef, Vec<Ticket>> = BTreeMap::new();
    for job in jobs {
        queues.entry(job.queue).or_default().push(ticket(job.id, job.kind, job.priority, job.due));
    }
    queues
}

/// The ticket of a job that may run at `due`.
pub(crate) fn ticket(id: JobId, kind: Kind, priority: Priority, due: Timestamp) -> Ticket {
    // Due no later than it was accepted means at once: the dispatch need not look at its clock.
    Ticket { id, kind, priority, due: (due > id.created_at()).then_some(due) }
}
