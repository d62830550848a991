//! What every promise of the schedules suite begins with: an empty store and the means to write to it tersely.

use super::{SchedulesHarness, SchedulesWorld};
use bytes::Bytes;
use haul_core::{
    Job, JobId, JobOptions, Kind, Ledger, Priority, ProcessId, Queue, ScheduleName, Schedules, Tenant, Timestamp,
    ledger::ProcessInfo,
    schedules::{
        Agenda, BatchFired, Changed, Created, Definition, Move, NewSchedule, Position, Schedule, ScheduleId,
        ScheduleRef, Step,
    },
};
use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// An empty store of schedules and who writes to it.
pub struct Stage {
    /// Makes further stores.
    pub harness: Arc<dyn SchedulesHarness>,
    /// The store's other side.
    pub world: Arc<dyn SchedulesWorld>,
    /// The store.
    pub schedules: Arc<dyn Schedules>,
    /// The ledger that it is a part of.
    pub ledger: Arc<dyn Ledger>,
    /// When the stage was set, on the ledger's clock.
    pub begun: Timestamp,
    /// The process that everything is done by. It has told that it is alive.
    pub me: ProcessId,
    ids: AtomicU64,
}

impl Stage {
    /// Sets the stage with a fresh store.
    pub async fn new(harness: Arc<dyn SchedulesHarness>) -> Self {
        let world = harness.fresh().await;
        let (schedules, ledger) = (world.schedules(), world.ledger());
        let begun = ledger.now().await.expect("a fresh ledger tells the time");
        let me = ProcessId::random();
        let info = ProcessInfo { id: me, role: "scheduler".to_owned() };
        ledger.heartbeat(&info).await.expect("a heartbeat is taken");
        Self { harness, world, schedules, ledger, begun, me, ids: AtomicU64::new(1) }
    }

    /// A new id of the time when the stage was set. Ids only grow.
    pub(crate) fn id(&self) -> JobId {
        let mut low = [0; 10];
        low[2..].copy_from_slice(&self.ids.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        let ms = self.begun.as_ms().unsigned_abs();
        JobId(uuid::Builder::from_unix_timestamp_millis(ms, &low).into_uuid())
    }

    pub(crate) fn job(&self) -> Job {
        let id = self.id();
        Job {
            id,
            tenant: Tenant::default(),
            queue: Queue::default(),
            kind: kind("work"),
            priority: Priority::default(),
            run_at: id.created_at(),
            payload: Bytes::from_static(b"{}"),
            options: JobOptions::shared_default(),
        }
    }

    /// A time before (`-`) or after the stage was set.
    pub(crate) fn at(&self, seconds: i64) -> Timestamp {
        let by = Duration::from_secs(seconds.unsigned_abs());
        if seconds < 0 { self.begun.minus(by) } else { self.begun.plus(by) }
    }

    /// A schedule of the default tenant that begins at the tick `0` and has been due for a minute.
    pub(crate) fn new_schedule(&self, name: &str) -> NewSchedule {
        NewSchedule {
            id: ScheduleId::new(self.begun),
            key: key(name),
            definition: definition("every minute"),
            position: position("0", Some(self.at(-60))),
            paused: false,
            idempotency: None,
        }
    }

    pub(crate) async fn try_create(&self, new: &NewSchedule) -> Created {
        self.schedules.create(new, usize::MAX).await.expect("an answer comes")
    }

    pub(crate) async fn create(&self, new: &NewSchedule) -> Schedule {
        match self.try_create(new).await {
            Created::New(schedule) => schedule,
            refused => panic!("{} was not created: {refused:?}", new.key),
        }
    }

    /// Creates a schedule that has been due for a minute.
    pub(crate) async fn created(&self, name: &str) -> Schedule {
        self.create(&self.new_schedule(name)).await
    }

    pub(crate) async fn find(&self, key: &ScheduleRef) -> Option<Schedule> {
        self.schedules.get(key).await.expect("a schedule is looked up")
    }

    /// What the store knows of a schedule that must be there.
    pub(crate) async fn read(&self, schedule: &Schedule) -> Schedule {
        let found = self.find(&schedule.key).await;
        found.unwrap_or_else(|| panic!("the schedule {} is not there", schedule.key))
    }

    pub(crate) async fn due(&self) -> Agenda {
        self.schedules.due(10_000).await.expect("it is told what is due")
    }

    pub(crate) async fn due_ids(&self) -> Vec<ScheduleId> {
        self.due().await.due.into_iter().map(|due| due.id).collect()
    }

    pub(crate) async fn pause(&self, schedule: &Schedule, paused: bool) -> Schedule {
        done(self.schedules.set_paused(&schedule.key, None, paused).await.expect("schedules are paused"))
    }

    /// A step from where the schedule is to the given tick, due again in an hour, with one job.
    pub(crate) fn step(&self, schedule: &Schedule, to: &str) -> Step {
        Step {
            schedule: schedule.id,
            version: schedule.version,
            moved: Move { from: schedule.position.fired_through.clone(), to: position(to, Some(self.at(3_600))) },
            jobs: vec![Job { tenant: schedule.key.tenant.clone(), ..self.job() }],
            problem: None,
        }
    }

    pub(crate) async fn fire(&self, steps: &[Step]) -> BatchFired {
        self.schedules.fire(steps, self.me, &[]).await.expect("steps are taken")
    }

    /// The ids of all jobs of the ledger that have not ended.
    pub(crate) async fn jobs(&self) -> BTreeSet<JobId> {
        let (mut found, mut after) = (BTreeSet::new(), None);
        for _ in 0..1_000 {
            let page = self.ledger.unsettled(after, None, 1_000).await.expect("unsettled jobs are read");
            found.extend(page.jobs.iter().map(|job| job.id));
            after = page.next;
            if after.is_none() {
                return found;
            }
        }
        panic!("the pages of unsettled jobs do not end");
    }
}

pub(crate) fn key(name: &str) -> ScheduleRef {
    ScheduleRef { tenant: Tenant::default(), name: ScheduleName::new(name).expect("a valid name") }
}

pub(crate) fn kind(name: &str) -> Kind {
    Kind::new(name).expect("a valid kind")
}

pub(crate) fn definition(spec: &str) -> Definition {
    Definition { spec: spec.to_owned(), template: "{\"kind\":\"work\"}".to_owned(), source: None }
}

pub(crate) fn position(fired_through: &str, next_at: Option<Timestamp>) -> Position {
    Position { fired_through: fired_through.to_owned(), next_at }
}

/// The schedule of a change that must have been made.
pub(crate) fn done(changed: Changed) -> Schedule {
    match changed {
        Changed::Done(schedule) => schedule,
        other => panic!("the change was not made: {other:?}"),
    }
}

pub(crate) fn job_ids(steps: &[Step]) -> BTreeSet<JobId> {
    steps.iter().flat_map(|step| &step.jobs).map(|job| job.id).collect()
}
