//! What every test begins with: the reference stores on a clock of their own, and schedules in them.

use haul_conformance::reference::{ReferenceDispatch, ReferenceLedger};
use haul_core::{
    Clock, IdMint, Job, JobId, JobOptions, JobTemplate, Kind, Ledger, Priority, ProcessId, Queue, ScheduleName,
    Schedules, Tenant, Timestamp,
    ledger::{Entry, ProcessInfo, Record},
    schedules::{Changed, Created, Definition, Edit, NewSchedule, Schedule, ScheduleId, ScheduleRef},
    template::{SCHEDULE_TAG, TICK_TAG},
};
use haul_schedule::ScheduleSpec;
use haul_scheduler::{Scheduler, SchedulerDeps};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

pub(crate) struct World {
    pub(crate) clock: Arc<Clock>,
    pub(crate) ledger: Arc<ReferenceLedger>,
    pub(crate) dispatch: Arc<ReferenceDispatch>,
}

impl World {
    /// Empty stores at this time.
    pub(crate) fn at(now: &str) -> Self {
        let clock = Arc::new(Clock::new());
        let world = Self {
            ledger: Arc::new(ReferenceLedger::new(clock.clone())),
            dispatch: Arc::new(ReferenceDispatch::new(clock.clone())),
            clock,
        };
        world.set(now.parse().unwrap());
        world
    }

    /// Empty stores at this moment, for what runs in real time.
    pub(crate) fn now() -> Self {
        Self::at(&Clock::new().now().to_string())
    }

    /// Moves the ledger's clock.
    pub(crate) fn set(&self, now: Timestamp) {
        self.clock.sync(now, Duration::ZERO);
    }

    pub(crate) fn forward(&self, by: Duration) {
        self.set(self.clock.now().plus(by));
    }

    /// A scheduler in a process of its own, that has told that it is alive, over these schedules.
    pub(crate) async fn scheduler_over(&self, schedules: Arc<dyn Schedules>, own_clock: Clock) -> Scheduler {
        let process = ProcessInfo { id: ProcessId::random(), role: "scheduler".to_owned() };
        self.ledger.heartbeat(&process).await.unwrap();
        Scheduler::new(SchedulerDeps {
            ledger: self.ledger.clone(),
            schedules,
            dispatch: self.dispatch.clone(),
            mint: Arc::new(IdMint::new(Arc::new(own_clock))),
            process: process.id,
        })
    }

    pub(crate) async fn scheduler(&self) -> Scheduler {
        self.scheduler_over(self.ledger.clone(), Clock::new()).await
    }

    pub(crate) async fn create(&self, name: &str, spec: &ScheduleSpec) -> Schedule {
        let position = spec.validate().unwrap().begin(self.clock.now());
        self.create_raw(NewSchedule { position, ..new_schedule(name, definition(spec)) }).await
    }

    pub(crate) async fn create_raw(&self, new: NewSchedule) -> Schedule {
        match self.ledger.create(&new, usize::MAX).await.unwrap() {
            Created::New(schedule) => schedule,
            refused => panic!("{} was not created: {refused:?}", new.key),
        }
    }

    /// Gives a schedule a new spec, as an editor does.
    pub(crate) async fn edit(&self, name: &str, spec: &ScheduleSpec) {
        let stored = self.read(name).await;
        let moved = Some(spec.validate().unwrap().take_over(&stored, self.clock.now()));
        let edit = Edit { id: stored.id, version: stored.version, definition: definition(spec), moved };
        let changed = self.ledger.edit(&edit).await.unwrap();
        assert!(matches!(changed, Changed::Done(_)), "{changed:?}");
    }

    pub(crate) async fn pause(&self, name: &str, paused: bool) {
        Schedules::set_paused(&*self.ledger, &key(name), None, paused).await.unwrap();
    }

    pub(crate) async fn read(&self, name: &str) -> Schedule {
        self.ledger.get(&key(name)).await.unwrap().unwrap()
    }

    /// Looks until nothing is due. Gives the number of jobs fired.
    pub(crate) async fn fire_all(&self, scheduler: &Scheduler) -> usize {
        let mut fired = 0;
        for _ in 0..1_000 {
            let turn = scheduler.turn().await.unwrap();
            if turn.due == 0 {
                return fired;
            }
            fired += turn.fired;
        }
        panic!("something is always due");
    }

    /// All jobs that have no outcome, in order of acceptance.
    pub(crate) async fn jobs(&self) -> Vec<Job> {
        let (mut jobs, mut after) = (Vec::new(), None);
        loop {
            let page = self.ledger.unsettled(after, None, 1_000).await.unwrap();
            let ids: Vec<JobId> = page.jobs.iter().map(|job| job.id).collect();
            jobs.extend(Ledger::load(&*self.ledger, &ids).await.unwrap().into_iter().map(|loaded| loaded.job));
            after = page.next;
            if after.is_none() {
                jobs.sort_by_key(|job| job.id);
                return jobs;
            }
        }
    }

    /// The ticks that have a job, by schedule, in order of acceptance.
    pub(crate) async fn ticks(&self) -> BTreeMap<String, Vec<String>> {
        let mut ticks: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for job in self.jobs().await {
            let tags = &job.options.tags;
            ticks.entry(tags[SCHEDULE_TAG].clone()).or_default().push(tags[TICK_TAG].clone());
        }
        ticks
    }

    /// The ticks of one schedule that have a job.
    pub(crate) async fn ticks_of(&self, name: &str) -> Vec<String> {
        self.ticks().await.remove(name).unwrap_or_default()
    }

    /// Ends the last job of a schedule.
    pub(crate) async fn succeed_last_job(&self, name: &str) {
        let job = self.read(name).await.last_job.unwrap();
        let record = Record {
            job,
            tenant: Tenant::default(),
            attempt: 1,
            at: self.clock.now(),
            entry: Entry::Succeeded(None),
            follow_ups: Vec::new(),
        };
        self.ledger.record(&[record], ProcessId::NOBODY).await.unwrap();
    }
}

pub(crate) fn key(name: &str) -> ScheduleRef {
    ScheduleRef { tenant: Tenant::default(), name: ScheduleName::new(name).unwrap() }
}

pub(crate) fn template() -> JobTemplate {
    JobTemplate {
        kind: Kind::new("report").unwrap(),
        queue: Queue::default(),
        priority: Priority::default(),
        payload: "{}".into(),
        options: JobOptions::default(),
    }
}

pub(crate) fn definition(spec: &ScheduleSpec) -> Definition {
    Definition { spec: serde_json::to_string(spec).unwrap(), template: template().encode().unwrap(), source: None }
}

/// A schedule that begins in 1970.
pub(crate) fn new_schedule(name: &str, definition: Definition) -> NewSchedule {
    let position = haul_core::schedules::Position {
        fired_through: haul_schedule::Place::at(Timestamp::default()).to_string(),
        next_at: Some(Timestamp::default()),
    };
    NewSchedule {
        id: ScheduleId(uuid::Uuid::new_v4()),
        key: key(name),
        definition,
        position,
        paused: false,
        idempotency: None,
    }
}
