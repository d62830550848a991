//! One run: the world of a plan, what befalls it, and the wait for what must come to pass afterwards.

use crate::{
    EMPTY_MAX, Run, SETTLE_MAX,
    defects::{Defect, Defects},
    dice::Dice,
    handler::{self, Place},
    history::History,
    link::{Link, Weather},
    plan::{Event, KINDS, Plan, QUEUES},
    producer::{Orders, Producer, beat, kind, queue},
    stores::{FarDispatch, FarLedger},
};
use haul_conformance::reference::{ReferenceDispatch, ReferenceLedger};
use haul_core::{
    Clock, Config, Dispatch, IdMint, JobId, Kind, Ledger, ProcessId, QueueChange, Span, Tenant, Timestamp,
    config::{RepairConfig, WorkerConfig},
};
use haul_embedded::MemoryDispatch;
use haul_repair::Repairer;
use haul_worker::{
    Worker,
    simulation::{Process, seed_chance},
};
use parking_lot::Mutex;
use std::{
    collections::BTreeSet,
    sync::{Arc, OnceLock},
    time::Duration,
};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use uuid::Uuid;

/// How often repair looks.
pub(crate) const REPAIR_EVERY: Duration = Duration::from_secs(1);
/// What lost queues wait for leases to be re-asserted.
pub(crate) const GRACE: Duration = Duration::from_millis(1_500);
/// How long a repairer that died keeps others from rebuilding.
const REBUILD_HELD: Duration = Duration::from_secs(10);
/// What calls and backoffs may add to a recovery.
const SLACK: Duration = Duration::from_secs(5);
/// A copy of the dispatch is kept so often, for it to be rolled back to.
const COPY_EVERY: Duration = Duration::from_secs(3);
/// The day on which every run begins.
const START: Timestamp = Timestamp::from_ms(1_800_000_000_000);

/// The two dispatches that runs are made over.
enum Dispatches {
    Memory(Arc<MemoryDispatch>),
    Reference(Arc<ReferenceDispatch>),
}

impl Dispatches {
    fn as_dispatch(&self) -> Arc<dyn Dispatch> {
        match self {
            Self::Memory(memory) => memory.clone(),
            Self::Reference(reference) => reference.clone(),
        }
    }
}

/// A process of the world, alive until it is dropped.
struct Living {
    process: Process,
    ledger_link: Arc<Link>,
    dispatch_link: Arc<Link>,
    shutdown: CancellationToken,
    task: AbortOnDropHandle<()>,
}

struct World {
    seed: u64,
    plan: Plan,
    clock: Arc<Clock>,
    mint: Arc<IdMint>,
    ledger: Arc<ReferenceLedger>,
    dispatch: Dispatches,
    history: Arc<History>,
    defects: Arc<Defects>,
    calm: CancellationToken,
    began: Instant,
    processes: u64,
    workers: Vec<Option<Living>>,
    producer: Option<(Living, Arc<Producer>)>,
    orders: Orders,
    dice: Dice,
}

/// What is still to be done about an event: a worker started again, a queue resumed.
#[derive(Clone, Copy)]
enum Due {
    Event(Event),
    Start(usize),
    GoOn(usize),
    Resume(usize),
}

/// Runs the world of the seed to its end.
pub(crate) async fn run(seed: u64, defect: Option<Defect>) -> Run {
    seed_chance(seed);
    let mut world = World::new(seed, defect);
    world.storm().await;
    world.recover().await
}

impl World {
    fn new(seed: u64, defect: Option<Defect>) -> Self {
        let mut plan = Plan::new(seed);
        let clock = Arc::new(Clock::simulated(START));
        let dispatch = if plan.over_memory {
            Dispatches::Memory(Arc::new(MemoryDispatch::new(clock.clone())))
        } else {
            Dispatches::Reference(Arc::new(ReferenceDispatch::new(clock.clone())))
        };
        let orders = Arc::new(Mutex::new(std::mem::take(&mut plan.batches).into()));
        let mut world = Self {
            seed,
            mint: Arc::new(IdMint::new(clock.clone())),
            ledger: Arc::new(ReferenceLedger::new(clock.clone())),
            dispatch,
            history: History::new(clock.clone()),
            clock,
            defects: Arc::new(Defects::new(defect)),
            calm: CancellationToken::new(),
            began: Instant::now(),
            processes: 0,
            workers: Vec::new(),
            producer: None,
            orders,
            dice: Dice::new(seed, 1),
            plan,
        };
        for at in 0..world.plan.workers {
            let worker = world.start(at);
            world.workers.push(Some(worker));
        }
        world.produce();
        world
    }

    async fn storm(&mut self) {
        let mut due: Vec<(Instant, Due)> =
            self.plan.events.iter().map(|(at, event)| (self.began + *at, Due::Event(*event))).collect();
        let mut copies = Vec::new();
        let end = self.began + self.plan.storm;
        let mut copy_at = self.began;
        while !self.history.has_violations() {
            let next = due.iter().enumerate().min_by_key(|(index, (at, _))| (*at, *index));
            let until = next.map_or(end, |(_, (at, _))| *at).min(copy_at).min(end);
            sleep_until(until).await;
            if until >= end {
                break;
            }
            if let Dispatches::Reference(reference) = &self.dispatch
                && until >= copy_at
            {
                copies.push(reference.copy());
            }
            if until >= copy_at {
                copy_at += COPY_EVERY;
                continue;
            }
            let Some((index, _)) = next else { continue };
            let (_, event) = due.remove(index);
            if let Some(later) = self.befall(event, &copies).await {
                due.push(later);
            }
        }
    }

    /// Lets it happen; what has to follow later is given back.
    async fn befall(
        &mut self,
        due: Due,
        copies: &[haul_conformance::reference::DispatchCopy],
    ) -> Option<(Instant, Due)> {
        let now = Instant::now();
        match due {
            Due::Start(worker) => self.begin(worker),
            Due::GoOn(worker) => self.go_on(worker),
            Due::Resume(at) => self.pause(at, false).await,
            Due::Event(event) => {
                self.history.note(format_args!("{event:?}"));
                return self.event(event, copies).await.map(|(after, due)| (now + after, due));
            }
        }
        None
    }

    async fn event(
        &mut self,
        event: Event,
        copies: &[haul_conformance::reference::DispatchCopy],
    ) -> Option<(Duration, Due)> {
        match event {
            Event::Kill { worker, away } => {
                self.workers[worker] = None;
                return Some((away, Due::Start(worker)));
            }
            Event::Stop { worker, length } => {
                self.workers[worker].as_ref()?.process.stop();
                return Some((length, Due::GoOn(worker)));
            }
            Event::Drain { worker } => {
                // It may take as long as its drain and then some; whoever is late is killed.
                self.workers[worker].as_ref()?.shutdown.cancel();
                return Some((Duration::from_secs(5), Due::Start(worker)));
            }
            Event::LoseDispatch => {
                match &self.dispatch {
                    Dispatches::Memory(memory) => memory.lose(),
                    Dispatches::Reference(reference) => reference.lose(),
                }
                self.history.bereaved();
            }
            Event::RollBackDispatch => {
                let (Dispatches::Reference(reference), Some(copy)) = (&self.dispatch, copies.last()) else {
                    return None;
                };
                reference.roll_back(copy);
                self.history.bereaved();
            }
            Event::CutLedger { worker, length } => {
                self.living(worker).for_each(|living| living.ledger_link.cut(length))
            }
            Event::CutDispatch { worker, length } => {
                self.living(worker).for_each(|living| living.dispatch_link.cut(length));
            }
            Event::Cancel => {
                let jobs = self.history.jobs(false);
                let (_, producer) = self.producer.as_ref()?;
                if !jobs.is_empty() {
                    let job = jobs[self.dice.index(jobs.len())];
                    self.history.note(format_args!("somebody wants to cancel {}", self.history.number(job)));
                    let producer = producer.clone();
                    tokio::spawn(async move { producer.cancel(job).await });
                }
            }
            Event::Pause { queue, length } => {
                self.pause(queue, true).await;
                return Some((length, Due::Resume(queue)));
            }
            Event::KillProducer => {
                self.producer = None;
                self.produce();
            }
        }
        None
    }

    /// The named worker, or every process.
    fn living(&self, worker: Option<usize>) -> impl Iterator<Item = &Living> {
        let workers = self.workers.iter().enumerate().filter(move |(at, _)| worker.is_none_or(|worker| worker == *at));
        let producer = self.producer.iter().filter(move |_| worker.is_none()).map(|(living, _)| living);
        workers.filter_map(|(_, living)| living.as_ref()).chain(producer)
    }

    fn go_on(&self, worker: usize) {
        if let Some(living) = &self.workers[worker] {
            self.history.note(format_args!("worker {worker} goes on"));
            living.process.go_on();
        }
    }

    fn begin(&mut self, worker: usize) {
        self.workers[worker] = None;
        self.workers[worker] = Some(self.start(worker));
    }

    /// An operator's wish: in the ledger, and then in the dispatch.
    async fn pause(&self, at: usize, paused: bool) {
        let change = QueueChange { paused: Some(paused), ..QueueChange::default() };
        if let Ok(Some(settings)) = self.ledger.configure_queue(&queue(at), &change).await {
            drop(self.dispatch.as_dispatch().configure(&queue(at), &settings).await);
        }
    }

    /// A new process: its id, and its ways to the stores.
    fn process(&mut self, name: String) -> (ProcessId, FarLedger, FarDispatch) {
        self.processes += 1;
        let number = self.processes;
        let process = ProcessId(Uuid::from_u128(u128::from(number)));
        self.history.name(process, format!("{name}#{number}"));
        let way = |store: u64, weather: Weather| {
            Link::new(Dice::new(self.seed, number * 2 + store), weather, self.calm.clone())
        };
        let (history, defects) = (self.history.clone(), self.defects.clone());
        let ledger = FarLedger {
            inner: self.ledger.clone(),
            link: way(0, self.plan.ledger_weather),
            history: history.clone(),
            defects: defects.clone(),
            process,
        };
        let dispatch = FarDispatch {
            inner: self.dispatch.as_dispatch(),
            link: way(1, self.plan.dispatch_weather),
            history,
            defects,
            process,
        };
        (process, ledger, dispatch)
    }

    fn produce(&mut self) {
        let (_, ledger, dispatch) = self.process("producer".to_owned());
        let (ledger_link, dispatch_link) = (ledger.link.clone(), dispatch.link.clone());
        let producer = Arc::new(Producer {
            ledger: Arc::new(ledger),
            dispatch: Arc::new(dispatch),
            mint: self.mint.clone(),
            history: self.history.clone(),
            began: self.began,
        });
        let process = Process::new();
        let running = process.run(producer.clone().run(self.orders.clone()));
        let task = AbortOnDropHandle::new(tokio::spawn(running));
        let shutdown = CancellationToken::new();
        self.producer = Some((Living { process, ledger_link, dispatch_link, shutdown, task }, producer));
    }

    /// A worker with its repairer and its heartbeat, as the product runs them.
    fn start(&mut self, at: usize) -> Living {
        let (id, ledger, dispatch) = self.process(format!("worker {at}"));
        let (ledger_link, dispatch_link) = (ledger.link.clone(), dispatch.link.clone());
        let (ledger, dispatch): (Arc<dyn Ledger>, Arc<dyn Dispatch>) = (Arc::new(ledger), Arc::new(dispatch));
        let signal = Arc::default();
        let mut builder = Worker::builder()
            .ledger(ledger.clone())
            .dispatch(dispatch.clone())
            .mint(self.mint.clone())
            .process(id)
            .config(self.worker_config())
            .repair_signal(Arc::clone(&signal))
            .data(Place { process: id, history: self.history.clone() });
        for kind in KINDS {
            builder = builder.handler(kind, handler::run);
        }
        let worker = builder.build().expect("the worker can be built");
        let repair = RepairConfig {
            interval: span(REPAIR_EVERY),
            grace: span(GRACE),
            audit_interval: haul_core::Span::from_ms(0),
        };
        let repairer = Repairer::new(id, ledger.clone(), dispatch, &repair, signal);
        let (shutdown, history) = (CancellationToken::new(), self.history.clone());
        let stop = shutdown.clone();
        let process = Process::new();
        let repairing = process.run(repairer.run(stop.clone()));
        let running = process.run(async move {
            let repairing = AbortOnDropHandle::new(tokio::spawn(repairing));
            tokio::select! {
                biased;
                ended = worker.run(stop.clone()) => {
                    if !stop.is_cancelled() {
                        history.violated(format!("a worker ended by itself: {ended:?}"));
                    }
                }
                () = beat(&*ledger, id, "worker") => {}
            }
            drop(repairing);
        });
        let task = AbortOnDropHandle::new(tokio::spawn(running));
        Living { process, ledger_link, dispatch_link, shutdown, task }
    }

    fn worker_config(&self) -> WorkerConfig {
        static DEFAULTS: OnceLock<WorkerConfig> = OnceLock::new();
        let defaults = DEFAULTS.get_or_init(|| Config::defaults().worker);
        WorkerConfig {
            concurrency: self.plan.slots,
            lease: span(self.plan.lease),
            drain: Span::from_ms(3_000),
            ..defaults.clone()
        }
    }

    /// Fair weather: everything must come to its end now, and soon.
    async fn recover(mut self) -> Run {
        self.history.note(format_args!("calm"));
        self.calm.cancel();
        for worker in 0..self.workers.len() {
            let is_gone = self.workers[worker]
                .as_ref()
                .is_none_or(|living| living.task.is_finished() || living.shutdown.is_cancelled());
            if is_gone {
                self.begin(worker);
            }
            self.go_on(worker);
        }
        for at in 0..QUEUES.len() {
            self.pause(at, false).await;
        }
        let calm_at = Instant::now();
        self.wait(self.plan.lease.max(REBUILD_HELD) + REPAIR_EVERY + GRACE + SLACK, |open, ordered, _| {
            open + ordered == 0
        })
        .await;
        self.judge_reach().await;
        let settled = self.wait(SETTLE_MAX, |open, ordered, _| open == 0 && ordered == 0).await;
        let settled_after =
            self.history.last_outcome().map_or(Duration::ZERO, |at| at.saturating_duration_since(calm_at));
        let emptied = settled && self.wait(EMPTY_MAX, |_, _, tickets| tickets == 0).await;
        self.judge(settled, emptied).await;
        let (figures, hash, violations, lines) = self.history.close();
        Run { seed: self.seed, figures, hash, violations, lines, settled_after }
    }

    /// Waits until open jobs, unsubmitted batches and tickets are as they should be, or something was violated.
    async fn wait(&self, at_most: Duration, is_done: impl Fn(usize, usize, u64) -> bool) -> bool {
        let until = Instant::now() + at_most;
        while Instant::now() < until && !self.history.has_violations() {
            let (open, ordered) = (self.history.jobs(true).len(), self.orders.lock().len());
            if is_done(open, ordered, self.tickets().await) {
                return true;
            }
            sleep(Duration::from_millis(250)).await;
        }
        false
    }

    /// By now every open job must have a ticket, or a receipt that leads repair to it.
    async fn judge_reach(&self) {
        let (kinds, mut reached): (Vec<Kind>, BTreeSet<JobId>) =
            ((0..KINDS.len()).map(kind).collect(), BTreeSet::new());
        for at in 0..QUEUES.len() {
            let mut cursor = None;
            loop {
                let page = self.dispatch.as_dispatch().scan(&queue(at), &kinds, cursor.as_ref(), 1_000).await;
                let page = page.unwrap_or_default();
                reached.extend(page.tickets.iter().map(|seen| seen.id));
                cursor = page.next;
                if cursor.is_none() {
                    break;
                }
            }
        }
        for job in self.history.jobs(true) {
            if !reached.contains(&job) && !self.ledger.has_receipt(job) {
                let number = self.history.number(job);
                self.history.violated(format!("nothing leads to job {number} any more, and it has no outcome"));
            }
        }
    }

    async fn tickets(&self) -> u64 {
        let kinds: Vec<Kind> = (0..KINDS.len()).map(kind).collect();
        let mut tickets = 0;
        for at in 0..QUEUES.len() {
            let stats = self.dispatch.as_dispatch().stats(&queue(at), &kinds).await.unwrap_or_default();
            tickets += stats.ready + stats.delayed + stats.leased;
        }
        tickets
    }

    /// The last look: at the ledger itself, and at what is left in the dispatch.
    async fn judge(&self, settled: bool, emptied: bool) {
        for id in self.history.jobs(false) {
            let (number, now) = (self.history.number(id), self.clock.now());
            match self.ledger.job(&Tenant::default(), id).await {
                Ok(Some(truth)) => {
                    let truth = self.defects.shown(truth);
                    if truth.outcome.is_none() && !self.history.has_violations() {
                        let known = if self.history.is_acknowledged(id) { "an acknowledged job" } else { "a job" };
                        self.history.violated(format!("{known}, {number}, has no outcome at {now}"));
                    }
                    self.history.look(&truth);
                }
                _ => self.history.violated(format!("job {number} is gone from the ledger")),
            }
        }
        if settled && !emptied && !self.history.has_violations() {
            let tickets = self.tickets().await;
            self.history.violated(format!("{tickets} tickets of settled jobs are left in the dispatch"));
        }
    }
}

fn span(duration: Duration) -> Span {
    Span::from_ms(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}
