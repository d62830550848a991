//! The reference dispatch: one lock around its queues, and the idle workers that wait to be woken.

use super::queue::QueueTickets;
use async_trait::async_trait;
use haul_core::{
    Clock, Dispatch, JobId, Kind, ProcessId, QueueSettings,
    dispatch::{
        Claim, ClaimRequest, DispatchError, Lease, QueueState, QueueStats, RebuildToken, Result, ScanCursor, ScanPage,
        Seen, Settlement, Ticket,
    },
    name::QueueRef,
};
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};
use tokio::sync::Notify;

/// A dispatch in memory.
#[derive(Debug)]
pub struct ReferenceDispatch {
    clock: Arc<Clock>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    queues: BTreeMap<QueueRef, QueueTickets>,
    /// Longest idle first.
    idle: BTreeMap<QueueRef, Vec<Idle>>,
    mailboxes: BTreeMap<ProcessId, Mailbox>,
}

/// A worker whose last claim from the queue found less than it had asked for.
#[derive(Debug)]
struct Idle {
    worker: ProcessId,
    /// What it still has room for.
    kinds: Vec<Kind>,
}

#[derive(Debug, Default)]
struct Mailbox {
    queues: BTreeSet<QueueRef>,
    bell: Arc<Notify>,
}

/// What a reference dispatch held at some time.
#[derive(Debug, Clone)]
pub struct DispatchCopy(BTreeMap<QueueRef, QueueTickets>);

impl State {
    fn queue(&mut self, queue: &QueueRef) -> &mut QueueTickets {
        self.queues.entry(queue.clone()).or_default()
    }

    /// Wakes one idle worker for each of the kinds; one that has room for several of them counts for all of these.
    fn wake(&mut self, queue: &QueueRef, kinds: impl IntoIterator<Item = Kind>) {
        let mut kinds: BTreeSet<Kind> = kinds.into_iter().collect();
        while let Some(kind) = kinds.pop_first() {
            let idle = self.idle.entry(queue.clone()).or_default();
            let Some(index) = idle.iter().position(|idle| idle.kinds.contains(&kind)) else { continue };
            let woken = idle.remove(index);
            kinds.retain(|kind| !woken.kinds.contains(kind));
            self.ring(woken.worker, queue);
        }
    }

    fn wake_all(&mut self, queue: &QueueRef) {
        for idle in self.idle.remove(queue).unwrap_or_default() {
            self.ring(idle.worker, queue);
        }
    }

    fn ring(&mut self, worker: ProcessId, queue: &QueueRef) {
        let mailbox = self.mailboxes.entry(worker).or_default();
        mailbox.queues.insert(queue.clone());
        mailbox.bell.notify_one();
    }
}

impl ReferenceDispatch {
    /// An empty dispatch on the given clock.
    pub fn new(clock: Arc<Clock>) -> Self {
        Self { clock, state: Mutex::default() }
    }

    /// Drops every ticket, lease and setting, as a flushed server does.
    pub fn lose(&self) {
        self.state.lock().queues.clear();
    }

    /// A copy of its tickets and leases, to go back to.
    pub fn copy(&self) -> DispatchCopy {
        DispatchCopy(self.state.lock().queues.clone())
    }

    /// Holds what it held then, as a server that was restored from an older copy does. It is another server: every queue is
    /// lost.
    pub fn roll_back(&self, to: &DispatchCopy) {
        let mut state = self.state.lock();
        state.queues = to.0.clone();
        state.queues.values_mut().for_each(QueueTickets::restored);
    }

    /// What waits in the queue, and whether it is delayed.
    pub(crate) fn waiting(&self, queue: &QueueRef) -> BTreeMap<JobId, bool> {
        self.state.lock().queue(queue).waiting()
    }
}

#[async_trait]
impl Dispatch for ReferenceDispatch {
    async fn enqueue(&self, queue: &QueueRef, tickets: &[Ticket]) -> Result<()> {
        let mut state = self.state.lock();
        state.queue(queue).enqueue(tickets);
        if tickets.is_empty() {
            return Ok(());
        }
        if state.queue(queue).state() == QueueState::Lost {
            let workers: Vec<ProcessId> = state.mailboxes.keys().copied().collect();
            workers.into_iter().for_each(|worker| state.ring(worker, queue));
            state.wake_all(queue);
        } else {
            state.wake(queue, tickets.iter().map(|ticket| ticket.kind.clone()));
        }
        Ok(())
    }

    async fn claim(&self, request: &ClaimRequest<'_>) -> Result<Claim> {
        let mut state = self.state.lock();
        let (claim, left_behind) = state.queue(request.queue).claim(self.clock.now(), request);
        // Another worker is woken: the claimer itself joins the idle ones afterwards.
        state.idle.entry(request.queue.clone()).or_default().retain(|idle| idle.worker != request.worker);
        state.wake(request.queue, left_behind);
        let taken = |kind: &Kind| claim.tickets.iter().filter(|ticket| ticket.kind == *kind).count();
        let kinds = request.kinds.iter().filter(|(kind, room)| taken(kind) < *room);
        let kinds: Vec<Kind> = kinds.map(|(kind, _)| kind.clone()).collect();
        if claim.tickets.len() < request.limit && !kinds.is_empty() {
            state.idle.entry(request.queue.clone()).or_default().push(Idle { worker: request.worker, kinds });
        }
        Ok(claim)
    }

    async fn extend(&self, queue: &QueueRef, leases: &[Lease], lease: Duration) -> Result<Vec<bool>> {
        Ok(self.state.lock().queue(queue).extend(self.clock.now(), leases, lease))
    }

    async fn settle(&self, queue: &QueueRef, settlements: &[Settlement]) -> Result<()> {
        let mut state = self.state.lock();
        let went_back = state.queue(queue).settle(settlements);
        state.wake(queue, went_back);
        Ok(())
    }

    async fn remove(&self, queue: &QueueRef, tickets: &[(Kind, JobId)]) -> Result<()> {
        self.state.lock().queue(queue).remove(tickets);
        Ok(())
    }

    async fn configure(&self, queue: &QueueRef, settings: &QueueSettings) -> Result<()> {
        let mut state = self.state.lock();
        state.queue(queue).configure(settings);
        if !settings.paused {
            state.wake_all(queue);
        }
        Ok(())
    }

    async fn stats(&self, queue: &QueueRef, kinds: &[Kind]) -> Result<QueueStats> {
        Ok(self.state.lock().queue(queue).stats(self.clock.now(), kinds))
    }

    async fn leased(&self, queue: &QueueRef, tickets: &[(Kind, JobId)]) -> Result<Vec<bool>> {
        Ok(self.state.lock().queue(queue).leased(tickets))
    }

    async fn running(&self, queue: &QueueRef, kinds: &[Kind], limit: usize) -> Result<Vec<JobId>> {
        Ok(self.state.lock().queue(queue).running(kinds, limit))
    }

    async fn scan(
        &self,
        queue: &QueueRef,
        kinds: &[Kind],
        cursor: Option<&ScanCursor>,
        limit: usize,
    ) -> Result<ScanPage> {
        let (begin, after) = cursor.map_or(Ok((0, None)), last_seen)?;
        let mut state = self.state.lock();
        let tickets = state.queue(queue).places(self.clock.now());
        let mut page = ScanPage::default();
        for (number, kind) in kinds.iter().enumerate().skip(begin) {
            let of_kind = tickets.iter().filter(|((of, _), _)| of == kind).map(|((_, id), place)| (*id, *place));
            for (id, place) in of_kind.filter(|(id, _)| number > begin || after.is_none_or(|after| *id > after)) {
                if page.tickets.len() == limit.max(1) {
                    let last = page.tickets.last();
                    page.next = last.map(|last| ScanCursor(format!("{} {}", index_of(kinds, &last.kind), last.id)));
                    return Ok(page);
                }
                page.tickets.push(Seen { id, kind: kind.clone(), place });
            }
        }
        Ok(page)
    }

    async fn wait(&self, worker: ProcessId, at_most: Duration) -> Vec<QueueRef> {
        let ends_at = tokio::time::Instant::now() + at_most;
        loop {
            let bell = {
                let mut state = self.state.lock();
                let mailbox = state.mailboxes.entry(worker).or_default();
                if !mailbox.queues.is_empty() {
                    return std::mem::take(&mut mailbox.queues).into_iter().collect();
                }
                mailbox.bell.clone()
            };
            // The bell keeps one ring, so that none is lost between the look above and this wait.
            if tokio::time::timeout_at(ends_at, bell.notified()).await.is_err() {
                return Vec::new();
            }
        }
    }

    async fn wake(&self, queue: &QueueRef, kinds: &[Kind]) -> Result<()> {
        let mut state = self.state.lock();
        let idle = state.idle.entry(queue.clone()).or_default();
        let wanted = |idle: &Idle| idle.kinds.iter().any(|kind| kinds.contains(kind));
        if let Some(index) = idle.iter().position(wanted) {
            let worker = idle.remove(index).worker;
            state.ring(worker, queue);
        }
        Ok(())
    }

    async fn lost(&self, queues: &[QueueRef]) -> Result<Vec<QueueRef>> {
        let state = self.state.lock();
        let is_lost = |queue: &&QueueRef| state.queues.get(*queue).is_none_or(QueueTickets::is_lost);
        Ok(queues.iter().filter(is_lost).cloned().collect())
    }

    async fn begin_rebuild(
        &self,
        queue: &QueueRef,
        kinds: &[Kind],
        settings: &QueueSettings,
        hold: Duration,
    ) -> Result<Option<RebuildToken>> {
        Ok(self.state.lock().queue(queue).begin_rebuild(self.clock.now(), kinds, settings, hold))
    }

    async fn rebuild(&self, queue: &QueueRef, token: RebuildToken, tickets: &[Ticket], hold: Duration) -> Result<bool> {
        Ok(self.state.lock().queue(queue).rebuild(self.clock.now(), token, tickets, hold))
    }

    async fn finish_rebuild(&self, queue: &QueueRef, token: RebuildToken, settings: &QueueSettings) -> Result<bool> {
        let mut state = self.state.lock();
        let finished = state.queue(queue).finish_rebuild(self.clock.now(), token, settings);
        if finished && state.queue(queue).state() == QueueState::Ready {
            state.wake_all(queue);
        }
        Ok(finished)
    }
}

/// The place among the kinds, and the id, of the last ticket that a scan told: it goes on in the order of ids, wherever
/// they are.
fn last_seen(cursor: &ScanCursor) -> Result<(usize, Option<JobId>)> {
    let read = || {
        let (number, id) = cursor.0.split_once(' ')?;
        Some((number.parse().ok()?, Some(id.parse().ok()?)))
    };
    read().ok_or_else(|| DispatchError::Unavailable("the scan was begun on another dispatch".into()))
}

fn index_of(kinds: &[Kind], kind: &Kind) -> usize {
    kinds.iter().position(|other| other == kind).unwrap_or(kinds.len())
}
