//! The pump: claims tickets while there is room, and waits, without polling, while there is none or nothing to claim.
//!
//! It owns all I/O faults on the way in: a dispatch or a ledger that does not answer makes it pause and try again, and
//! never ends the worker. Claims and loads overlap: while one batch is loaded, the next is claimed.

use crate::{
    claims::Claims,
    lanes::Lanes,
    load::{Loader, Routes},
    meters::WorkerMeters,
    pace::Pace,
    reach::{Backoff, Reach},
    registry::Registry,
    tasks,
};
use haul_core::{
    Dispatch, Kind, Ledger, ProcessId, QueueRef,
    dispatch::{Claim, ClaimRequest, LeaseToken, QueueState},
};
use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::{
    select,
    sync::{Notify, mpsc},
    task::{JoinError, JoinSet},
    time::{Instant, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;

/// Tickets of one claim.
pub(crate) const CLAIM_MAX: usize = 1_000;
/// Loads under way.
const LOADS_MAX: usize = 4;
/// The longest that a wait for wake-ups lasts.
const WAIT_MAX: Duration = Duration::from_secs(5);
/// How often new queues are looked for, where no wake-up tells of them...
const REFRESH_EVERY: Duration = Duration::from_secs(1);
/// ...but never so often that looking takes more than one part in this many of the time.
const REFRESH_SHARE: u32 = 100;
/// How often at most an unknown queue's wake-up makes us look.
const REFRESH_MIN: Duration = Duration::from_millis(20);
/// How soon a lost queue is asked again.
const LOST_PAUSE: Duration = Duration::from_millis(100);
/// Wake-ups of one queue are passed on no more often than this: two workers without room must not play ball.
const PASS_ON_EVERY: Duration = Duration::from_millis(100);

/// Claims, and hands what it got to the loader.
pub(crate) struct Pump {
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) dispatch: Arc<dyn Dispatch>,
    pub(crate) process: ProcessId,
    pub(crate) claims: Arc<Claims>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) loader: Arc<Loader>,
    pub(crate) ledger_reach: Arc<Reach>,
    pub(crate) dispatch_reach: Arc<Reach>,
    pub(crate) repair_signal: Arc<Notify>,
    pub(crate) meters: WorkerMeters,
    /// How many slots are in use, for others.
    pub(crate) busy: Arc<AtomicUsize>,
    pub(crate) lease: Duration,
    pub(crate) slots: usize,
    pub(crate) recording_max: usize,
    pub(crate) lanes: Lanes,
    pub(crate) stop: CancellationToken,
    pub(crate) state: State,
}

/// What the pump remembers between its turns.
pub(crate) struct State {
    routes: Routes,
    pace: Pace,
    refresh_at: Instant,
    refreshed_at: Option<Instant>,
    passed_on: HashMap<QueueRef, Instant>,
    backoff: Backoff,
    /// Busy slots, as the gauge was told last.
    busy_told: f64,
}

impl State {
    pub(crate) fn new() -> Self {
        let now = Instant::now();
        Self {
            routes: Routes::default(),
            pace: Pace::new(now),
            refresh_at: now,
            refreshed_at: None,
            passed_on: HashMap::new(),
            backoff: Backoff::default(),
            busy_told: 0.0,
        }
    }
}

/// Waits for wake-ups and hands them to the pump, until it is aborted. Once the pump has ended they go to other workers:
/// the dispatch still counts this one as idle for a while.
pub(crate) async fn listen(
    dispatch: Arc<dyn Dispatch>,
    process: ProcessId,
    kinds: Vec<Kind>,
    wakes: mpsc::Sender<Vec<QueueRef>>,
) {
    loop {
        let woken = dispatch.wait(process, WAIT_MAX).await;
        if woken.is_empty() {
            continue;
        }
        if let Err(unheard) = wakes.send(woken).await {
            wake_others(&*dispatch, &unheard.0, &kinds).await;
        }
    }
}

fn note_load(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a load ended unexpectedly; its leases are left to expire");
    }
}

async fn wake_others(dispatch: &dyn Dispatch, queues: &[QueueRef], kinds: &[Kind]) {
    for queue in queues {
        if let Err(error) = dispatch.wake(queue, kinds).await {
            tracing::debug!(%error, %queue, "a wake-up could not be passed on");
        }
    }
}

impl Pump {
    /// Claims until it is told to stop. A claim that is under way ends first, as its answer says what was claimed; loads
    /// do not, as the table of claims knows about them.
    pub(crate) async fn run(mut self, mut wakes: mpsc::Receiver<Vec<QueueRef>>) {
        let mut loads = JoinSet::new();
        // By the difference, as below.
        #[expect(clippy::cast_precision_loss, reason = "at most 100,000 slots")]
        let slots = self.slots as f64;
        self.meters.slots.increment(slots);
        while !self.stop.is_cancelled() {
            while let Some(ended) = loads.try_join_next() {
                note_load(ended);
            }
            while let Ok(woken) = wakes.try_recv() {
                self.woken(woken).await;
            }
            let now = Instant::now();
            if now >= self.state.refresh_at {
                self.refresh().await;
            }
            if self.ledger_reach.is_down() {
                self.wait_for_ledger().await;
                continue;
            }
            let room = self.room(Instant::now());
            let turn = if loads.len() < LOADS_MAX { self.lanes.next(room, now).filter(|_| room > 0) } else { None };
            let Some((lane, share)) = turn else {
                let wakes_at = if room > 0 && loads.len() < LOADS_MAX { self.lanes.wakes_at() } else { None };
                let until = wakes_at.unwrap_or(self.state.refresh_at).min(self.state.refresh_at);
                select! {
                    biased;
                    woken = wakes.recv() => match woken {
                        Some(woken) => self.woken(woken).await,
                        None => return,
                    },
                    () = self.claims.changed(), if room == 0 || self.lanes.wait_for_room() => self.lanes.room_was_made(),
                    Some(ended) = loads.join_next() => note_load(ended),
                    () = sleep_until(until) => {}
                    () = self.stop.cancelled() => {}
                }
                continue;
            };
            self.claim(lane, share, &mut loads).await;
        }
        self.meters.slots.decrement(slots);
        wakes.close();
        while let Ok(unheard) = wakes.try_recv() {
            wake_others(&*self.dispatch, &unheard, &self.registry.kinds()).await;
        }
    }

    /// How many tickets may be claimed now.
    fn room(&mut self, now: Instant) -> usize {
        let counts = self.claims.counts();
        self.busy.store(counts.running, Relaxed);
        // By the difference: another worker of this process may have its share in the gauge.
        #[expect(clippy::cast_precision_loss, reason = "at most 100,000 slots")]
        let busy = counts.running as f64;
        self.meters.slots_busy.increment(busy - std::mem::replace(&mut self.state.busy_told, busy));
        let ahead = self.state.pace.ahead(self.claims.ended(), now);
        let used = counts.unstarted + counts.running;
        let free = (self.slots + ahead).saturating_sub(used);
        // With every slot taken, claim ahead in large steps: half of what may be claimed ahead at a time.
        if counts.recording > self.recording_max || (used >= self.slots && free <= ahead / 2) {
            return 0;
        }
        free.min(CLAIM_MAX)
    }

    async fn claim(&mut self, lane: usize, share: usize, loads: &mut JoinSet<()>) {
        let (mut kinds, mut full) = (Vec::new(), Vec::new());
        for kind in &self.lanes.get(lane).kinds {
            let room = self.registry.get(kind).map_or(Some(0), |registered| registered.room()).unwrap_or(share);
            if room > 0 { kinds.push((kind.clone(), room.min(share))) } else { full.push(kind.clone()) }
        }
        let queue = self.lanes.get(lane).queue.clone();
        if kinds.is_empty() {
            self.lanes.sleep(lane, None, true, Instant::now());
            self.pass_on(&queue, &full).await;
            return;
        }
        let token = LeaseToken::random();
        let (limit, worker, lease) = (share, self.process, self.lease);
        let expires = Instant::now() + lease;
        let request = ClaimRequest { queue: &queue, kinds: &kinds, limit, worker, token, lease };
        let claim = match self.dispatch.claim(&request).await {
            Ok(claim) => claim,
            Err(error) => {
                self.dispatch_reach.failed(&error);
                return self.rest().await;
            }
        };
        self.dispatch_reach.answered();
        self.state.backoff.reset();
        self.sleep_after(lane, share, &kinds, !full.is_empty(), &claim);
        if !full.is_empty() {
            self.pass_on(&queue, &full).await;
        }
        let arrived = self.loader.take_in(&mut self.state.routes, self.lanes.get(lane), claim.tickets, token, expires);
        if !arrived.is_empty() {
            let loader = self.loader.clone();
            loads.spawn(tasks::of_this_process(async move { loader.load(arrived).await }));
        }
    }

    /// Decides when to ask this queue again.
    fn sleep_after(&mut self, lane: usize, share: usize, kinds: &[(Kind, usize)], some_full: bool, claim: &Claim) {
        let now = Instant::now();
        self.lanes.charge(lane, claim.tickets.len());
        match claim.state {
            QueueState::Lost => {
                self.repair_signal.notify_one();
                self.lanes.sleep(lane, Some(LOST_PAUSE), false, now);
            }
            QueueState::Paused => self.lanes.sleep(lane, claim.next_in, false, now),
            QueueState::Ready if claim.tickets.len() < share => {
                let taken = |kind: &Kind| claim.tickets.iter().filter(|ticket| ticket.kind == *kind).count();
                let has_more = some_full || kinds.iter().any(|(kind, room)| *room < share && taken(kind) >= *room);
                self.lanes.sleep(lane, claim.next_in, has_more, now);
            }
            // It gave all that it was asked for: it stays hot.
            QueueState::Ready => {}
        }
    }

    async fn woken(&mut self, queues: Vec<QueueRef>) {
        let now = Instant::now();
        let has_room = self.room(now) > 0;
        for queue in queues {
            if !self.lanes.wake(&queue) {
                let soon = self.state.refreshed_at.map_or(now, |at| at + REFRESH_MIN);
                self.state.refresh_at = self.state.refresh_at.min(soon);
            }
            if !has_room {
                self.pass_on(&queue, &self.registry.kinds()).await;
            }
        }
    }

    /// Wakes another worker for what this one has no room for.
    async fn pass_on(&mut self, queue: &QueueRef, kinds: &[Kind]) {
        let now = Instant::now();
        let passed_on = &mut self.state.passed_on;
        if passed_on.get(queue).is_some_and(|at| now.duration_since(*at) < PASS_ON_EVERY) {
            return;
        }
        passed_on.insert(queue.clone(), now);
        match self.dispatch.wake(queue, kinds).await {
            Ok(()) => self.dispatch_reach.answered(),
            Err(error) => self.dispatch_reach.failed(&error),
        }
    }

    async fn refresh(&mut self) {
        let began = Instant::now();
        let infos = select! {
            biased;
            infos = self.ledger.queues() => infos,
            () = self.stop.cancelled() => return,
        };
        match infos {
            Ok(infos) => {
                self.ledger_reach.answered();
                let now = Instant::now();
                self.lanes.refresh(infos);
                self.state.backoff.reset();
                self.state.refreshed_at = Some(now);
                self.state.refresh_at = now + REFRESH_EVERY.max((now - began) * REFRESH_SHARE);
            }
            Err(error) => {
                self.ledger_reach.failed(&error);
                self.state.refresh_at = Instant::now();
            }
        }
    }

    /// Without the ledger nothing is claimed. Asking it for its queues shows when it is back.
    async fn wait_for_ledger(&mut self) {
        self.rest().await;
        self.state.refresh_at = Instant::now();
    }

    async fn rest(&mut self) {
        let pause = self.state.backoff.next();
        select! {
            biased;
            () = sleep(pause) => {}
            () = self.stop.cancelled() => {}
        }
    }
}
