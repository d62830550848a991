//! Tickets on their way from a commit to the dispatch.
//!
//! A bounded buffer and one task: what piles up while one enqueue is in flight goes with the next, one call per queue. A
//! slow or dead dispatch delays no answer: what finds no room, fails or takes too long is left to repair by its receipt.

use crate::receipts::Receipts;
use futures::{StreamExt, stream};
use haul_core::{Dispatch, JobId, Kind, QueueRef, dispatch::Ticket, ledger::ReceiptId};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::{Instant, timeout, timeout_at},
};
use tokio_util::sync::CancellationToken;

/// Batches of tickets taken up at once.
const ROUND_HANDOVERS: usize = 256;
/// Tickets of one call.
const CALL_TICKETS: usize = 2_000;
/// Queues enqueued into at a time.
const CALLS_IN_FLIGHT: usize = 8;
/// How long one call may take before its outcome counts as unknown.
const CALL_MAX: Duration = Duration::from_secs(2);
/// How long the buffer is still emptied when the process ends.
const FLUSH_MAX: Duration = Duration::from_secs(3);
/// Removals that may wait; a ticket that is not removed costs a read.
const REMOVALS_MAX: usize = 1_000;

/// The tickets of one receipt.
pub(crate) struct Handover {
    pub(crate) receipt: ReceiptId,
    pub(crate) tickets: Vec<(QueueRef, Ticket)>,
    /// Whether repair has to read these jobs again in any case.
    pub(crate) is_late: bool,
}

/// The commits' end of the buffer. Clones share it; the task ends when all of them are dropped.
#[derive(Clone)]
pub(crate) struct Tickets {
    buffer: mpsc::UnboundedSender<(Handover, OwnedSemaphorePermit)>,
    room: Arc<Semaphore>,
    receipts: Arc<Receipts>,
}

/// Tickets of cancelled jobs, to be removed when there is time.
#[derive(Clone)]
pub(crate) struct Removals(mpsc::Sender<(QueueRef, Kind, JobId)>);

impl Tickets {
    /// Gives tickets to the dispatch, soon; or their receipt to repair when the buffer is full.
    pub(crate) fn hand_over(&self, handover: Handover) {
        let receipt = handover.receipt;
        let size = u32::try_from(handover.tickets.len()).unwrap_or(u32::MAX);
        let sent = match self.room.clone().try_acquire_many_owned(size) {
            Ok(room) => self.buffer.send((handover, room)).is_ok(),
            Err(_full) => false,
        };
        if !sent {
            self.receipts.leave(&[receipt]);
        }
    }
}

impl Removals {
    /// Has a ticket removed, if there is room.
    pub(crate) fn remove(&self, queue: QueueRef, kind: Kind, id: JobId) {
        if self.0.try_send((queue, kind, id)).is_err() {
            tracing::debug!("the ticket of a cancelled job stays: it will cost a read");
        }
    }
}

/// The dispatch's end of the buffer.
pub(crate) struct TicketTask {
    buffer: mpsc::UnboundedReceiver<(Handover, OwnedSemaphorePermit)>,
    removals: mpsc::Receiver<(QueueRef, Kind, JobId)>,
    dispatch: Arc<dyn Dispatch>,
    receipts: Arc<Receipts>,
}

/// A buffer for so many tickets.
pub(crate) fn tickets(
    dispatch: Arc<dyn Dispatch>,
    receipts: Arc<Receipts>,
    tickets_max: usize,
) -> (Tickets, Removals, TicketTask) {
    let (sender, buffer) = mpsc::unbounded_channel();
    let (removal_sender, removals) = mpsc::channel(REMOVALS_MAX);
    let room = Arc::new(Semaphore::new(tickets_max.min(u32::MAX as usize / 2)));
    (
        Tickets { buffer: sender, room, receipts: receipts.clone() },
        Removals(removal_sender),
        TicketTask { buffer, removals, dispatch, receipts },
    )
}

impl TicketTask {
    /// Enqueues until every [`Tickets`] is dropped and the buffer is empty. From `stop` on it has [`FLUSH_MAX`]; what is
    /// left then goes to repair.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let (mut handovers, mut removals) = (Vec::new(), Vec::new());
        let mut flush_end = None;
        loop {
            tokio::select! {
                biased;
                taken = self.buffer.recv_many(&mut handovers, ROUND_HANDOVERS) => {
                    if taken == 0 {
                        return;
                    }
                    if stop.is_cancelled() && flush_end.is_none() {
                        flush_end = Some(Instant::now() + FLUSH_MAX);
                    }
                    // The room is given back when the round is over.
                    let (round, room): (Vec<_>, Vec<_>) = handovers.drain(..).unzip();
                    self.enqueue(round, flush_end).await;
                    drop(room);
                }
                taken = self.removals.recv_many(&mut removals, REMOVALS_MAX), if flush_end.is_none() => {
                    if taken == 0 {
                        // No handler is left; commits may still be.
                        flush_end.get_or_insert_with(|| Instant::now() + FLUSH_MAX);
                    }
                    self.remove(removals.drain(..)).await;
                }
            }
        }
    }

    async fn enqueue(&self, handovers: Vec<Handover>, flush_end: Option<Instant>) {
        let mut by_queue: HashMap<QueueRef, Vec<Ticket>> = HashMap::new();
        let (mut left, mut confirmed) = (Vec::new(), Vec::new());
        let mut queues_of = Vec::with_capacity(handovers.len());
        for Handover { receipt, tickets, is_late } in handovers {
            let mut queues = HashSet::new();
            for (queue, ticket) in tickets {
                if !queues.contains(&queue) {
                    queues.insert(queue.clone());
                }
                by_queue.entry(queue).or_default().push(ticket);
            }
            queues_of.push((receipt, queues, is_late));
        }
        let failed: HashSet<QueueRef> = stream::iter(by_queue)
            .map(|(queue, tickets)| enqueue(self.dispatch.clone(), queue, tickets, flush_end))
            .buffer_unordered(CALLS_IN_FLIGHT)
            .filter_map(|failed| async move { failed })
            .collect()
            .await;
        for (receipt, queues, is_late) in queues_of {
            let is_left = is_late || !queues.is_disjoint(&failed);
            if is_left { left.push(receipt) } else { confirmed.push(receipt) }
        }
        self.receipts.leave(&left);
        self.receipts.confirm(&confirmed);
    }

    async fn remove(&self, removals: impl Iterator<Item = (QueueRef, Kind, JobId)>) {
        let mut by_queue: HashMap<QueueRef, Vec<(Kind, JobId)>> = HashMap::new();
        for (queue, kind, id) in removals {
            by_queue.entry(queue).or_default().push((kind, id));
        }
        for (queue, tickets) in by_queue {
            match timeout(CALL_MAX, self.dispatch.remove(&queue, &tickets)).await {
                Ok(Ok(())) => {}
                // The ledger has the outcome: a ticket that stays costs a read.
                Ok(Err(error)) => tracing::debug!(%queue, %error, "tickets of cancelled jobs stay"),
                Err(_elapsed) => tracing::debug!(%queue, "tickets of cancelled jobs stay: no answer in time"),
            }
        }
    }
}

/// Enqueues into one queue; names it again when that failed.
async fn enqueue(
    dispatch: Arc<dyn Dispatch>,
    queue: QueueRef,
    tickets: Vec<Ticket>,
    flush_end: Option<Instant>,
) -> Option<QueueRef> {
    for chunk in tickets.chunks(CALL_TICKETS) {
        let call_end = Instant::now() + CALL_MAX;
        let call_end = flush_end.map_or(call_end, |flush_end| flush_end.min(call_end));
        match timeout_at(call_end, dispatch.enqueue(&queue, chunk)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::debug!(%queue, %error, "tickets could not be enqueued; repair will");
                return Some(queue);
            }
            Err(_elapsed) => return Some(queue),
        }
    }
    None
}
