//! Schedulers in a world of faults that a seed decides: each tick has exactly one job.
//!
//! Three of the product's own schedulers, with clocks of their own, share the reference ledger. Their calls fail, hang and lose
//! their answers; they are killed, and stopped for up to minutes; schedules are edited and paused meanwhile. Then
//! the weather is calm, and every second of every schedule is looked at.

use crate::{
    dice::Dice,
    link::{Link, Weather},
};
use async_trait::async_trait;
use haul_conformance::reference::{ReferenceDispatch, ReferenceLedger};
use haul_core::{
    Clock, IdMint, JobOptions, JobTemplate, Kind, Ledger, Priority, ProcessId, Queue, ScheduleName, Schedules, Span,
    Tenant, Timestamp,
    ledger::{self, ReceiptId},
    schedules::*,
    template::{SCHEDULE_TAG, TICK_TAG},
};
use haul_schedule::{Missed, MissedSpec, Place, ScheduleSpec, TickName};
use haul_scheduler::{Scheduler, SchedulerDeps};
use haul_worker::simulation::Process;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::time::{Instant, sleep};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use uuid::Uuid;

const START: Timestamp = Timestamp::from_ms(1_800_000_000_000);
const SCHEDULERS: usize = 3;
const SCHEDULES: usize = 10;
/// How long everything goes wrong.
const STORM: Duration = Duration::from_secs(120);
/// How long it may take to catch up with everything afterwards.
const CATCH_UP_MAX: Duration = Duration::from_secs(60);

/// What came of one seed.
#[derive(Debug)]
pub struct Fired {
    /// Ticks that had to fire.
    pub ticks: usize,
    /// What was violated, if anything.
    pub violations: Vec<String>,
}

/// The schedules as one process sees them.
struct Far {
    inner: Arc<ReferenceLedger>,
    link: Arc<Link>,
    /// Takes steps wherever their schedules are: a simulation that does not find it proves nothing.
    is_unguarded: bool,
}

impl Far {
    async fn call<T: Send + 'static, F>(&self, effect: impl FnOnce(Arc<ReferenceLedger>) -> F) -> ledger::Result<T>
    where
        F: Future<Output = ledger::Result<T>> + Send + 'static,
    {
        self.link.call(effect(self.inner.clone())).await?
    }
}

#[async_trait]
impl Schedules for Far {
    async fn create(&self, new: &NewSchedule, schedules_max: usize) -> ledger::Result<Created> {
        self.inner.create(new, schedules_max).await
    }
    async fn create_once(&self, new: &NewSchedule) -> ledger::Result<bool> {
        self.inner.create_once(new).await
    }
    async fn get(&self, key: &ScheduleRef) -> ledger::Result<Option<Schedule>> {
        self.inner.get(key).await
    }
    async fn list(&self, tenant: &Tenant, after: Option<&ScheduleName>, limit: usize) -> ledger::Result<Vec<Schedule>> {
        Schedules::list(&*self.inner, tenant, after, limit).await
    }
    async fn load(&self, ids: &[ScheduleId]) -> ledger::Result<Vec<Schedule>> {
        let ids = ids.to_vec();
        self.call(move |inner| async move { Schedules::load(&*inner, &ids).await }).await
    }
    async fn edit(&self, edit: &Edit) -> ledger::Result<Changed> {
        self.inner.edit(edit).await
    }
    async fn set_paused(&self, key: &ScheduleRef, version: Option<i64>, paused: bool) -> ledger::Result<Changed> {
        self.inner.set_paused(key, version, paused).await
    }
    async fn delete(&self, key: &ScheduleRef, version: Option<i64>) -> ledger::Result<Changed> {
        self.inner.delete(key, version).await
    }
    async fn due(&self, limit: usize) -> ledger::Result<Agenda> {
        self.call(move |inner| async move { inner.due(limit).await }).await
    }
    async fn fire(&self, steps: &[Step], owner: ProcessId, done: &[ReceiptId]) -> ledger::Result<BatchFired> {
        let (mut steps, done, is_unguarded) = (steps.to_vec(), done.to_vec(), self.is_unguarded);
        self.call(move |inner| async move {
            for step in steps.iter_mut().filter(|_| is_unguarded) {
                if let Some(stored) = Schedules::load(&*inner, &[step.schedule]).await?.pop() {
                    (step.version, step.moved.from) = (stored.version, stored.position.fired_through);
                }
            }
            inner.fire(&steps, owner, &done).await
        })
        .await
    }
}

/// A scheduler, alive until it is dropped.
struct Living {
    process: Process,
    link: Arc<Link>,
    _task: AbortOnDropHandle<()>,
}

/// A part of a schedule's time, in which it fired every so many seconds.
struct Part {
    name: String,
    every_s: i64,
    after_s: i64,
    through_s: i64,
}

struct World {
    seed: u64,
    dice: Dice,
    clock: Arc<Clock>,
    ledger: Arc<ReferenceLedger>,
    dispatch: Arc<ReferenceDispatch>,
    calm: CancellationToken,
    weather: Weather,
    is_unguarded: bool,
    processes: u64,
    /// What each schedule was asked last, and after which second.
    asked: BTreeMap<String, (i64, i64)>,
    parts: Vec<Part>,
}

/// Runs the world of the seed to its end.
pub(crate) async fn run(seed: u64, is_unguarded: bool) -> Fired {
    let clock = Arc::new(Clock::simulated(START));
    let mut dice = Dice::new(seed, 0);
    let mut share = |most: f64| if dice.chance(0.5) { most } else { 0.0 };
    let weather = Weather { fails: share(0.05), answer_lost: share(0.1), slow: share(0.2), hangs: share(0.02) };
    let mut world = World {
        seed,
        dice,
        ledger: Arc::new(ReferenceLedger::new(clock.clone())),
        dispatch: Arc::new(ReferenceDispatch::new(clock.clone())),
        clock,
        calm: CancellationToken::new(),
        weather,
        is_unguarded,
        processes: 0,
        asked: BTreeMap::new(),
        parts: Vec::new(),
    };
    world.create().await;
    let mut schedulers: Vec<Living> = (0..SCHEDULERS).map(|_| world.start()).collect();
    let storm_ends = Instant::now() + STORM;
    while Instant::now() < storm_ends {
        let pause = world.dice.ms(50..=3_000);
        sleep(pause).await;
        world.befall(&mut schedulers).await;
    }
    world.calm.cancel();
    for scheduler in &mut schedulers {
        scheduler.process.go_on();
    }
    world.judge().await
}

impl World {
    async fn create(&mut self) {
        for n in 0..SCHEDULES {
            let (name, every_s) = (format!("s{n}"), 1 + n as i64 % 5);
            let spec = spec(every_s);
            let position = spec.validate().expect("a valid schedule").begin(self.clock.now());
            let id = ScheduleId(Uuid::from_u128(n as u128 + 1));
            let (key, definition) = (key(&name), definition(&spec));
            let new = NewSchedule { id, key, definition, position, paused: false, idempotency: None };
            let after_s = through_s(&new.position);
            self.ledger.create(&new, SCHEDULES).await.expect("the reference answers");
            self.asked.insert(name, (every_s, after_s));
        }
    }

    fn start(&mut self) -> Living {
        self.processes += 1;
        let link = Link::new(Dice::new(self.seed, self.processes), self.weather, self.calm.clone());
        let schedules = Far { inner: self.ledger.clone(), link: link.clone(), is_unguarded: self.is_unguarded };
        // Anything between ten minutes late and ten minutes early.
        let off = self.dice.ms(0..=1_200_000);
        let own_clock = Clock::simulated(self.clock.now().minus(Duration::from_secs(600)).plus(off));
        let scheduler = Scheduler::new(SchedulerDeps {
            ledger: self.ledger.clone(),
            schedules: Arc::new(schedules),
            dispatch: self.dispatch.clone(),
            mint: Arc::new(IdMint::new(Arc::new(own_clock))),
            process: ProcessId(Uuid::from_u128(u128::from(self.processes))),
        });
        let process = Process::new();
        let running = process.run(scheduler.run(CancellationToken::new()));
        Living { process, link, _task: AbortOnDropHandle::new(tokio::spawn(running)) }
    }

    async fn befall(&mut self, schedulers: &mut [Living]) {
        let which = self.dice.index(SCHEDULERS);
        match self.dice.number(0..=6) {
            0 => schedulers[which] = self.start(),
            1 => schedulers[which].process.stop(),
            2 | 3 => schedulers[which].process.go_on(),
            4 => schedulers[which].link.cut(self.dice.ms(100..=20_000)),
            5 => self.edit().await,
            _ => self.pause().await,
        }
    }

    fn any(&mut self) -> String {
        format!("s{}", self.dice.index(SCHEDULES))
    }

    async fn edit(&mut self) {
        let (name, every_s) = (self.any(), self.dice.number(1..=7) as i64);
        let spec = spec(every_s);
        let Ok(Some(stored)) = self.ledger.get(&key(&name)).await else { return };
        let moved = spec.validate().expect("a valid schedule").take_over(&stored, self.clock.now());
        let (through, begins) = (through_s(&stored.position), through_s(&moved.to));
        let edit = Edit { id: stored.id, version: stored.version, definition: definition(&spec), moved: Some(moved) };
        if matches!(self.ledger.edit(&edit).await, Ok(Changed::Done(_)))
            && let Some((every_s, after_s)) = self.asked.insert(name.clone(), (every_s, begins))
        {
            self.parts.push(Part { name, every_s, after_s, through_s: through });
        }
    }

    async fn pause(&mut self) {
        let (name, paused) = (self.any(), self.dice.chance(0.5));
        drop(self.ledger.set_paused(&key(&name), None, paused).await);
    }

    /// Lets schedulers catch up, and looks at every second.
    async fn judge(mut self) -> Fired {
        let mut violations = Vec::new();
        for name in self.asked.keys() {
            drop(self.ledger.set_paused(&key(name), None, false).await);
        }
        let (until, end_s) = (Instant::now() + CATCH_UP_MAX, self.clock.now().as_ms() / 1_000);
        while self.ledger.due(1).await.is_ok_and(|agenda| agenda.next_at.is_some_and(|at| at.as_ms() <= end_s * 1_000))
        {
            if Instant::now() > until {
                violations.push("ticks are due, and nobody has fired them".to_owned());
                break;
            }
            sleep(Duration::from_millis(100)).await;
        }
        for (name, (every_s, after_s)) in std::mem::take(&mut self.asked) {
            let Ok(Some(stored)) = self.ledger.get(&key(&name)).await else { continue };
            let through_s = through_s(&stored.position).max(end_s);
            self.parts.push(Part { name, every_s, after_s, through_s });
        }
        let mut fired = self.fired().await;
        let mut ticks = 0;
        for Part { name, every_s, after_s, through_s } in &self.parts {
            for second in (after_s + 1..=*through_s).filter(|second| second % every_s == 0) {
                ticks += 1;
                let jobs = fired.remove(&(name.clone(), second)).unwrap_or_default();
                if jobs != 1 {
                    violations.push(format!("second {second} of {name} has {jobs} jobs"));
                }
            }
        }
        violations.extend(fired.keys().map(|(name, second)| format!("{name} fired {second}, which is no tick of it")));
        Fired { ticks, violations }
    }

    /// How many jobs each tick has.
    async fn fired(&self) -> BTreeMap<(String, i64), usize> {
        let (mut fired, mut after) = (BTreeMap::new(), None);
        loop {
            let page = self.ledger.unsettled(after, None, 1_000).await.expect("the reference answers");
            let ids: Vec<_> = page.jobs.iter().map(|job| job.id).collect();
            for loaded in Ledger::load(&*self.ledger, &ids).await.expect("the reference answers") {
                let tags = &loaded.job.options.tags;
                let tick: TickName = tags[TICK_TAG].parse().expect("a tick's name");
                *fired.entry((tags[SCHEDULE_TAG].clone(), tick.at().as_ms() / 1_000)).or_default() += 1;
            }
            after = page.next;
            if after.is_none() {
                return fired;
            }
        }
    }
}

fn spec(every_s: i64) -> ScheduleSpec {
    let every = Span::from_ms(every_s.unsigned_abs() * 1_000);
    let missed = Some(MissedSpec { policy: Missed::All, max: Some(1_000), max_age: None });
    ScheduleSpec { missed, ..ScheduleSpec::every(every) }
}

fn definition(spec: &ScheduleSpec) -> Definition {
    let template = JobTemplate {
        kind: Kind::new("report").expect("a valid kind"),
        queue: Queue::default(),
        priority: Priority::default(),
        payload: "{}".into(),
        options: JobOptions::default(),
    };
    let template = template.encode().expect("a valid template");
    Definition { spec: serde_json::to_string(spec).expect("a spec is JSON"), template, source: None }
}

fn key(name: &str) -> ScheduleRef {
    ScheduleRef { tenant: Tenant::default(), name: ScheduleName::new(name).expect("a valid name") }
}

fn through_s(position: &Position) -> i64 {
    let place: Place = position.fired_through.parse().expect("a place");
    place.through.at().as_ms() / 1_000
}
