//! What the dispatch is told after the ledger: leases that end, and tickets of follow-ups.
//!
//! None of it may hold anything up, so that results are recorded while the dispatch is away. Hence a push never waits:
//! what finds no room, or has not been taken for as long as a lease lasts, is forgotten. Lease expiry and
//! repair cover it, at the price of a read.

use crate::{
    claims::Parting,
    reach::{Backoff, Reach},
};
use haul_core::{
    Dispatch, Job, Ledger, QueueRef, Timestamp,
    dispatch::{Settlement, Ticket},
    ledger::ReceiptId,
};
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};
use tokio::{sync::Notify, time::Instant};

/// Settlements that may wait.
const WAITING_MAX: usize = 100_000;
/// Follow-ups whose tickets may wait.
const FOLLOW_UPS_WAITING_MAX: usize = 100_000;
/// Settlements or tickets in one call.
const CALL_MAX: usize = 1_000;

#[derive(Default)]
struct Waiting {
    settlements: BTreeMap<QueueRef, VecDeque<(Instant, Settlement)>>,
    settlement_count: usize,
    follow_ups: Vec<Job>,
    receipts: Vec<ReceiptId>,
    forgotten: usize,
    busy: bool,
}

impl Waiting {
    fn put_back(&mut self, queue: QueueRef, taken: Vec<(Instant, Settlement)>) {
        self.settlement_count += taken.len();
        let line = self.settlements.entry(queue).or_default();
        for settlement in taken.into_iter().rev() {
            line.push_front(settlement);
        }
    }
}

/// Tells the dispatch.
pub(crate) struct Settler {
    dispatch: Arc<dyn Dispatch>,
    ledger: Arc<dyn Ledger>,
    reach: Arc<Reach>,
    lease: Duration,
    waiting: Mutex<Waiting>,
    more: Notify,
    emptied: Notify,
}

impl Settler {
    pub(crate) fn new(
        dispatch: Arc<dyn Dispatch>,
        ledger: Arc<dyn Ledger>,
        reach: Arc<Reach>,
        lease: Duration,
    ) -> Self {
        let waiting = Mutex::default();
        Self { dispatch, ledger, reach, lease, waiting, more: Notify::new(), emptied: Notify::new() }
    }

    /// Ends leases, soon.
    pub(crate) fn settle(&self, partings: impl IntoIterator<Item = Parting>) {
        let now = Instant::now();
        let mut waiting = self.waiting.lock();
        let waiting = &mut *waiting;
        for Parting { route, settlement } in partings {
            if waiting.settlement_count >= WAITING_MAX {
                waiting.forgotten += 1;
                continue;
            }
            waiting.settlement_count += 1;
            match waiting.settlements.get_mut(&route.queue) {
                Some(line) => line.push_back((now, settlement)),
                None => {
                    waiting.settlements.insert(route.queue.clone(), VecDeque::from([(now, settlement)]));
                }
            }
        }
        self.more.notify_one();
    }

    /// Brings accepted follow-ups into the dispatch, soon, and lets go of their receipt then.
    pub(crate) fn enqueue(&self, jobs: Vec<Job>, receipt: Option<ReceiptId>) {
        let mut waiting = self.waiting.lock();
        // Without room the receipt stays where it is: repair finds it.
        if waiting.follow_ups.len() + jobs.len() <= FOLLOW_UPS_WAITING_MAX {
            waiting.follow_ups.extend(jobs);
            waiting.receipts.extend(receipt);
        }
        self.more.notify_one();
    }

    /// Works until it is aborted.
    pub(crate) async fn run(&self) {
        let mut backoff = Backoff::default();
        loop {
            self.bring_follow_ups().await;
            if self.settle_some().await {
                backoff.reset();
            } else {
                backoff.pause().await;
                self.forget_stale();
            }
            if self.is_idle() {
                self.emptied.notify_one();
                self.more.notified().await;
            }
        }
    }

    /// Ends when nothing waits any more. For one caller at a time.
    pub(crate) async fn drained(&self) {
        while !self.is_idle() {
            self.emptied.notified().await;
        }
    }

    fn is_idle(&self) -> bool {
        let waiting = self.waiting.lock();
        waiting.settlement_count == 0 && waiting.follow_ups.is_empty() && waiting.receipts.is_empty() && !waiting.busy
    }

    /// One round over all queues. `false` when the dispatch does not answer.
    async fn settle_some(&self) -> bool {
        let queues: Vec<QueueRef> = self.waiting.lock().settlements.keys().cloned().collect();
        for queue in queues {
            let taken = self.take(&queue);
            let settlements: Vec<Settlement> = taken.iter().map(|(_, settlement)| settlement.clone()).collect();
            let told = self.dispatch.settle(&queue, &settlements).await;
            let mut waiting = self.waiting.lock();
            waiting.busy = false;
            match told {
                Ok(()) => self.reach.answered(),
                Err(error) => {
                    self.reach.failed(&error);
                    waiting.put_back(queue, taken);
                    return false;
                }
            }
        }
        true
    }

    fn take(&self, queue: &QueueRef) -> Vec<(Instant, Settlement)> {
        let mut waiting = self.waiting.lock();
        let Some(line) = waiting.settlements.get_mut(queue) else { return Vec::new() };
        let taken: Vec<_> = line.drain(..line.len().min(CALL_MAX)).collect();
        if line.is_empty() {
            waiting.settlements.remove(queue);
        }
        waiting.settlement_count -= taken.len();
        waiting.busy = true;
        taken
    }

    fn forget_stale(&self) {
        let mut waiting = self.waiting.lock();
        let waiting = &mut *waiting;
        let mut stale = 0;
        waiting.settlements.retain(|_, line| {
            while line.front().is_some_and(|(since, _)| since.elapsed() > self.lease) {
                line.pop_front();
                stale += 1;
            }
            !line.is_empty()
        });
        waiting.settlement_count -= stale;
        let forgotten = stale + std::mem::take(&mut waiting.forgotten);
        if forgotten > 0 {
            tracing::warn!(leases = forgotten, "leases could not be ended in the dispatch and will expire");
        }
    }

    async fn bring_follow_ups(&self) {
        let (jobs, receipts) = {
            let mut waiting = self.waiting.lock();
            if waiting.follow_ups.is_empty() && waiting.receipts.is_empty() {
                return;
            }
            waiting.busy = true;
            (std::mem::take(&mut waiting.follow_ups), std::mem::take(&mut waiting.receipts))
        };
        let brought = self.enqueue_all(&jobs).await;
        let told = if brought {
            self.ledger.drop_receipts(&receipts).await
        } else {
            self.ledger.release_receipts(&receipts).await
        };
        if let Err(error) = told {
            tracing::debug!(%error, "receipts of follow-ups stay for repair");
        }
        self.waiting.lock().busy = false;
    }

    async fn enqueue_all(&self, jobs: &[Job]) -> bool {
        let mut by_queue: BTreeMap<QueueRef, Vec<Ticket>> = BTreeMap::new();
        for job in jobs {
            by_queue.entry(job.queue_ref()).or_default().push(ticket(job));
        }
        for (queue, tickets) in &by_queue {
            for tickets in tickets.chunks(CALL_MAX) {
                if let Err(error) = self.dispatch.enqueue(queue, tickets).await {
                    self.reach.failed(&error);
                    return false;
                }
            }
        }
        true
    }
}

fn ticket(job: &Job) -> Ticket {
    let due: Option<Timestamp> = (job.run_at > job.created_at()).then_some(job.run_at);
    Ticket { id: job.id, kind: job.kind.clone(), priority: job.priority, due }
}
