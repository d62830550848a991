//! Everything that this process has claimed and not yet given back: the one place that knows what runs here.
//!
//! A claim goes through four stages: claimed (its job is not loaded yet), waiting (for a free slot), running, recording
//! (ended, its record is on the way to the ledger). A job is in here once at most, so it cannot start twice within one
//! process, however many tickets it has. Nothing here does I/O; callers settle what they take out.

use crate::{
    meters::RouteMeters,
    registry::Registered,
    stop::{Stop, Why},
};
use haul_core::{
    JobId, Priority, QueueRef, Timestamp,
    dispatch::{Claimed, Lease, LeaseToken, Next, Settlement},
};
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, HashMap, hash_map::Entry},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{sync::Notify, time::Instant};

/// How long past its timeout a handler's lease is extended; then it counts as stuck.
pub(crate) const STUCK_AFTER: Duration = Duration::from_secs(60);
/// How long leases are extended while the ledger cannot be read or written.
pub(crate) const UNRECORDED_MAX: Duration = Duration::from_secs(300);
/// How long a ticket rests whose job is still here although its lease is gone: it winds down, or is stuck.
const REST: Duration = Duration::from_secs(1);

/// The way of a job through this worker: its queue and its handler.
pub(crate) struct Route {
    pub(crate) queue: QueueRef,
    pub(crate) registered: Arc<Registered>,
    pub(crate) meters: RouteMeters,
}

/// Names one stay of a job in the table. A job that left and came back has another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ClaimId {
    pub(crate) job: JobId,
    seq: u64,
}

/// A lease on its way out, and where its ticket goes.
pub(crate) struct Parting {
    pub(crate) route: Arc<Route>,
    pub(crate) settlement: Settlement,
}

struct Held {
    seq: u64,
    route: Arc<Route>,
    priority: Priority,
    token: LeaseToken,
    expires: Instant,
    lost: bool,
    /// A suspect goes beside the slots.
    is_aside: bool,
    stage: Stage,
}

enum Stage {
    Claimed { since: Instant },
    Waiting { since: Instant },
    Running { until: Instant, stop: Stop },
    Recording { since: Instant },
}

#[derive(Default)]
struct Table {
    held: HashMap<JobId, Held>,
    counts: Counts,
    next_seq: u64,
}

/// How many claims are in which stage.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Claimed or waiting.
    pub(crate) unstarted: usize,
    pub(crate) running: usize,
    /// The same of those that go beside the slots.
    pub(crate) aside_unstarted: usize,
    pub(crate) aside_running: usize,
    pub(crate) recording: usize,
}

impl Counts {
    fn of(&mut self, held: &Held) -> &mut usize {
        match (&held.stage, held.is_aside) {
            (Stage::Claimed { .. } | Stage::Waiting { .. }, false) => &mut self.unstarted,
            (Stage::Claimed { .. } | Stage::Waiting { .. }, true) => &mut self.aside_unstarted,
            (Stage::Running { .. }, false) => &mut self.running,
            (Stage::Running { .. }, true) => &mut self.aside_running,
            (Stage::Recording { .. }, _) => &mut self.recording,
        }
    }

    /// Suspects that have not ended.
    pub(crate) fn aside(&self) -> usize {
        self.aside_unstarted + self.aside_running
    }

    /// Handlers at work, wherever.
    pub(crate) fn at_work(&self) -> usize {
        self.running + self.aside_running
    }
}

/// The table of claims.
#[derive(Default)]
pub(crate) struct Claims {
    table: Mutex<Table>,
    changed: Notify,
    ended: AtomicU64,
}

impl Claims {
    /// Takes tickets in. Gives back those to go on with, and the leases that are not needed.
    pub(crate) fn take_in(
        &self,
        tickets: Vec<(Arc<Route>, Claimed)>,
        token: LeaseToken,
        expires: Instant,
        now: Timestamp,
    ) -> (Vec<ClaimId>, Vec<Parting>) {
        let mut fresh = Vec::with_capacity(tickets.len());
        let mut refused = Vec::new();
        let since = Instant::now();
        let mut table = self.table.lock();
        let table = &mut *table;
        for (route, ticket) in tickets {
            match table.held.entry(ticket.id) {
                Entry::Vacant(vacant) => {
                    let seq = table.next_seq;
                    table.next_seq += 1;
                    table.counts.unstarted += 1;
                    route.registered.enter();
                    let priority = ticket.priority;
                    let stage = Stage::Claimed { since };
                    let (lost, is_aside) = (false, false);
                    vacant.insert(Held { seq, route, priority, token, expires, lost, is_aside, stage });
                    fresh.push(ClaimId { job: ticket.id, seq });
                }
                // A second ticket of a job that is here: the newer lease is the one that holds from now on.
                Entry::Occupied(mut here) if here.get().is_extended_at(since) => {
                    let held = here.get_mut();
                    held.token = token;
                    held.expires = expires;
                }
                // It runs here without a lease: elsewhere it may start, here not.
                Entry::Occupied(_) => {
                    let kind = route.registered.kind.clone();
                    let lease = Lease { id: ticket.id, kind, priority: ticket.priority, token };
                    refused.push(Parting { route, settlement: Settlement { lease, next: Next::Park(now.plus(REST)) } });
                }
            }
        }
        (fresh, refused)
    }

    /// Lets claims wait for their start: they are loaded, or could not begin. Says which of them are still here.
    pub(crate) fn wait(&self, claims: &[ClaimId]) -> Vec<bool> {
        let since = Instant::now();
        let mut table = self.table.lock();
        let wait = |claim: &ClaimId| table.change(claim, |held| held.stage = Stage::Waiting { since });
        claims.iter().map(wait).collect()
    }

    /// Lets a claim go beside the slots, unless `aside_max` do so already or it is gone: then `false`.
    pub(crate) fn go_aside(&self, claim: ClaimId, aside_max: usize) -> bool {
        let mut table = self.table.lock();
        let is_aside = table.counts.aside() < aside_max && table.change(&claim, |held| held.is_aside = true);
        drop(table);
        // It uses up no slot any more.
        self.changed.notify_one();
        is_aside
    }

    /// Lets a claim come back to where all others go. `false` when it is gone.
    pub(crate) fn rejoin(&self, claim: ClaimId) -> bool {
        self.table.lock().change(&claim, |held| held.is_aside = false)
    }

    /// Lets a waiting claim run, for at most `allowed`. `false` when it was given back meanwhile.
    pub(crate) fn start(&self, claim: ClaimId, allowed: Duration, stop: &Stop) -> bool {
        let until = Instant::now() + allowed;
        let mut table = self.table.lock();
        if !table.get(&claim).is_some_and(|held| matches!(held.stage, Stage::Waiting { .. })) {
            return false;
        }
        table.change(&claim, |held| held.stage = Stage::Running { until, stop: stop.clone() })
    }

    /// Ends a run: what it left behind is recorded next. Says whether its lease was lost; `None` when it was given up.
    pub(crate) fn end(&self, claim: ClaimId) -> Option<bool> {
        let mut table = self.table.lock();
        let held = table.get(&claim)?;
        let (lost, is_aside, route) = (held.lost, held.is_aside, held.route.clone());
        if matches!(held.stage, Stage::Recording { .. }) {
            return Some(lost);
        }
        table.change(&claim, |held| held.stage = Stage::Recording { since: Instant::now() });
        drop(table);
        route.registered.leave();
        if !is_aside {
            self.ended.fetch_add(1, Ordering::Relaxed);
        }
        self.changed.notify_one();
        Some(lost)
    }

    /// Takes a claim out, with the lease that it holds by now.
    pub(crate) fn close(&self, claim: ClaimId, next: Next) -> Option<Parting> {
        self.close_all([(claim, next)]).pop()
    }

    /// Takes claims out.
    pub(crate) fn close_all(&self, claims: impl IntoIterator<Item = (ClaimId, Next)>) -> Vec<Parting> {
        let mut table = self.table.lock();
        let partings =
            claims.into_iter().filter_map(|(claim, next)| table.remove(&claim).map(|held| held.part(claim.job, next)));
        let partings: Vec<_> = partings.collect();
        drop(table);
        if !partings.is_empty() {
            self.changed.notify_one();
        }
        partings
    }

    /// Gives back everything that has not started.
    pub(crate) fn give_back_unstarted(&self) -> Vec<Parting> {
        let mut table = self.table.lock();
        let unstarted = |held: &Held| matches!(held.stage, Stage::Claimed { .. } | Stage::Waiting { .. });
        table.drain_if(unstarted, Next::Release, &self.changed)
    }

    /// Gives back what waits for its start for too long: for a slot, or beside them.
    pub(crate) fn give_back_overdue(&self, slot_max: Duration, aside_max: Duration) -> Vec<Parting> {
        let now = Instant::now();
        let is_overdue = |held: &Held| match held.stage {
            Stage::Waiting { since } => now.duration_since(since) > if held.is_aside { aside_max } else { slot_max },
            _ => false,
        };
        self.table.lock().drain_if(is_overdue, Next::Release, &self.changed)
    }

    /// Gives back what still runs: its worker ends.
    pub(crate) fn give_up_running(&self, now: Timestamp) -> Vec<Parting> {
        let mut table = self.table.lock();
        table.drain_if(|held| matches!(held.stage, Stage::Running { .. }), Next::Park(now), &self.changed)
    }

    /// The leases that are to go on, by queue; of one queue only, if named.
    pub(crate) fn to_extend(&self, only: Option<&QueueRef>) -> Vec<(QueueRef, Vec<Lease>)> {
        let now = Instant::now();
        let table = self.table.lock();
        table.leases(|held| held.is_extended_at(now) && only.is_none_or(|queue| *queue == held.route.queue))
    }

    /// Notes the answers to an extension that lasts until `expires`. Lost claims are told to stop, and why.
    pub(crate) fn extended(&self, leases: &[Lease], held_still: &[bool], expires: Instant, why: Why) -> usize {
        let mut lost = 0;
        let mut table = self.table.lock();
        for (lease, held_still) in leases.iter().zip(held_still) {
            // Another token: the job was claimed anew meanwhile, and this answer is about the past.
            let Some(held) = table.held.get_mut(&lease.id).filter(|held| held.token == lease.token) else { continue };
            if *held_still {
                held.expires = expires;
                continue;
            }
            lost += 1;
            held.lost = true;
            match &held.stage {
                Stage::Running { stop, .. } => stop.tell(why),
                Stage::Recording { .. } => {}
                Stage::Claimed { .. } | Stage::Waiting { .. } => {
                    let claim = ClaimId { job: lease.id, seq: held.seq };
                    table.remove(&claim);
                    self.changed.notify_one();
                }
            }
        }
        lost
    }

    /// The leases of running handlers whose time has passed as far as this process knows, by queue.
    pub(crate) fn run_out(&self) -> Vec<(QueueRef, Vec<Lease>)> {
        let now = Instant::now();
        let runs = |held: &Held| matches!(held.stage, Stage::Running { .. });
        self.table.lock().leases(|held| runs(held) && held.expires <= now && held.is_extended_at(now))
    }

    /// The leases among these claims whose time has passed as far as this process knows.
    pub(crate) fn doubtful(&self, claims: impl IntoIterator<Item = ClaimId>) -> Vec<(QueueRef, Lease)> {
        let now = Instant::now();
        let table = self.table.lock();
        let expired = |claim: ClaimId| {
            let held = table.get(&claim).filter(|held| !held.lost && held.expires <= now)?;
            Some((held.route.queue.clone(), held.lease(claim.job)))
        };
        claims.into_iter().filter_map(expired).collect()
    }

    /// Whether the claim is still here.
    pub(crate) fn has(&self, claim: ClaimId) -> bool {
        self.table.lock().get(&claim).is_some()
    }

    /// Whether the claim's lease is known to be lost.
    pub(crate) fn is_lost(&self, claim: ClaimId) -> bool {
        self.table.lock().get(&claim).is_none_or(|held| held.lost)
    }

    /// The queues in which leases are held.
    pub(crate) fn queues(&self) -> Vec<QueueRef> {
        let table = self.table.lock();
        let mut queues: Vec<&QueueRef> = table.held.values().map(|held| &held.route.queue).collect();
        queues.sort_unstable();
        queues.dedup();
        queues.into_iter().cloned().collect()
    }

    /// The jobs that run now, the oldest first.
    pub(crate) fn running(&self) -> Vec<JobId> {
        let table = self.table.lock();
        let runs = |(id, held): (&JobId, &Held)| matches!(held.stage, Stage::Running { .. }).then_some(*id);
        let mut running: Vec<JobId> = table.held.iter().filter_map(runs).collect();
        running.sort_unstable();
        running
    }

    /// Tells a running job's handler to stop.
    pub(crate) fn stop(&self, job: JobId, why: Why) {
        if let Some(Stage::Running { stop, .. }) = self.table.lock().held.get(&job).map(|held| &held.stage) {
            stop.tell(why);
        }
    }

    /// Tells every running handler to stop.
    pub(crate) fn stop_all(&self, why: Why) {
        for job in self.running() {
            self.stop(job, why);
        }
    }

    /// How many handlers run on although they should have ended long ago.
    pub(crate) fn stuck(&self) -> usize {
        let now = Instant::now();
        let is_stuck = |held: &&Held| matches!(held.stage, Stage::Running { until, .. } if until + STUCK_AFTER < now);
        self.table.lock().held.values().filter(is_stuck).count()
    }

    pub(crate) fn counts(&self) -> Counts {
        self.table.lock().counts
    }

    /// How many runs in the slots have ended since the start.
    pub(crate) fn ended(&self) -> u64 {
        self.ended.load(Ordering::Relaxed)
    }

    /// Ends soon after a claim has moved on or out. One waiter at a time; look at [`Claims::counts`] afterwards.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }
}

impl Table {
    fn get(&self, claim: &ClaimId) -> Option<&Held> {
        self.held.get(&claim.job).filter(|held| held.seq == claim.seq)
    }

    /// Changes a claim, and the counts with it. `false` when it is not here.
    fn change(&mut self, claim: &ClaimId, change: impl FnOnce(&mut Held)) -> bool {
        let Some(held) = self.held.get_mut(&claim.job).filter(|held| held.seq == claim.seq) else { return false };
        *self.counts.of(held) -= 1;
        change(held);
        *self.counts.of(held) += 1;
        true
    }

    /// The leases of these claims by queue, the oldest jobs first.
    fn leases(&self, wanted: impl Fn(&Held) -> bool) -> Vec<(QueueRef, Vec<Lease>)> {
        let mut by_queue: BTreeMap<&QueueRef, Vec<Lease>> = BTreeMap::new();
        for (id, held) in self.held.iter().filter(|(_, held)| wanted(held)) {
            by_queue.entry(&held.route.queue).or_default().push(held.lease(*id));
        }
        let in_order = |(queue, mut leases): (&QueueRef, Vec<Lease>)| {
            leases.sort_unstable_by_key(|lease| lease.id);
            (queue.clone(), leases)
        };
        by_queue.into_iter().map(in_order).collect()
    }

    fn remove(&mut self, claim: &ClaimId) -> Option<Held> {
        self.get(claim)?;
        let held = self.held.remove(&claim.job)?;
        self.uncount(&held);
        Some(held)
    }

    fn uncount(&mut self, held: &Held) {
        *self.counts.of(held) -= 1;
        if !matches!(held.stage, Stage::Recording { .. }) {
            held.route.registered.leave();
        }
    }

    fn drain_if(&mut self, leaves: impl Fn(&Held) -> bool, next: Next, changed: &Notify) -> Vec<Parting> {
        let mut leaving: Vec<_> = self.held.extract_if(|_, held| leaves(held)).collect();
        // What goes back to the front of its line stands there in the order in which it came.
        leaving.sort_unstable_by_key(|(id, _)| *id);
        for (_, held) in &leaving {
            self.uncount(held);
        }
        if !leaving.is_empty() {
            changed.notify_one();
        }
        leaving.into_iter().map(|(id, held)| held.part(id, next)).collect()
    }
}

impl Held {
    fn lease(&self, id: JobId) -> Lease {
        Lease { id, kind: self.route.registered.kind.clone(), priority: self.priority, token: self.token }
    }
    fn part(self, id: JobId, next: Next) -> Parting {
        let lease = self.lease(id);
        Parting { route: self.route, settlement: Settlement { lease, next } }
    }
    fn is_extended_at(&self, now: Instant) -> bool {
        let until = match self.stage {
            Stage::Waiting { .. } => return !self.lost,
            Stage::Claimed { since } | Stage::Recording { since } => since + UNRECORDED_MAX,
            Stage::Running { until, .. } => until + STUCK_AFTER,
        };
        !self.lost && now < until
    }
}
