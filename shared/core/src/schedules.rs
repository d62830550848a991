//! Schedules: jobs that are to be accepted again and again, and how far each of them has come.
//!
//! A store of schedules knows nothing of calendars. What a schedule says is text to it; the process that fires computes
//! which ticks are due and where they lead, and the store guarantees the rest: a step is taken by exactly one process,
//! from exactly the place and the definition that it was computed from, in one transaction with the jobs of its ticks.
//!
//! What an adapter promises is written at each method and checked by the schedules suite of `haul-conformance`. As with
//! the ledger, every method may fail with [`LedgerError::Unavailable`](crate::ledger::LedgerError::Unavailable) after
//! its effect was committed all the same; each is safe to call again with the same arguments.

use crate::{
    id::{self, JobId, ProcessId},
    job::Job,
    ledger::{Idempotency, ReceiptId, Result},
    name::{ScheduleName, SourceName, Tenant},
    time::Timestamp,
};
use async_trait::async_trait;
use std::fmt;
use uuid::Uuid;

/// A schedule's id: a UUIDv7 on the ledger's clock, as an idempotency key goes with what it has made, and retention tells the
/// time of that by its id. A name that is deleted and created anew is another schedule, with another id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ScheduleId(pub Uuid);

impl ScheduleId {
    /// A new id.
    pub fn new(now: Timestamp) -> Self {
        Self(id::made_at(now))
    }
}

impl fmt::Display for ScheduleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A schedule of a tenant, by its name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ScheduleRef {
    /// Whose schedule.
    pub tenant: Tenant,
    /// Which of the tenant's schedules.
    pub name: ScheduleName,
}

impl fmt::Display for ScheduleRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.tenant, self.name)
    }
}

/// What a schedule says: when to fire, and which job. Text, that only those who fire and those who show it read; and where
/// all of it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// When it fires.
    pub spec: String,
    /// What every job of it is made of. Holds a payload, so it is never logged.
    pub template: String,
    /// The file that it is kept in, by the name that the file gives itself; `None` for one that is kept here alone.
    pub source: Option<SourceName>,
}

/// How far a schedule has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// Up to here nothing is left to fire. Text in the words of whoever fires; a store compares it for equality only.
    pub fired_through: String,
    /// When there will be something to fire; `None`: never again.
    pub next_at: Option<Timestamp>,
}

/// A schedule to be created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSchedule {
    /// A new id.
    pub id: ScheduleId,
    /// Its tenant and name.
    pub key: ScheduleRef,
    /// What it says.
    pub definition: Definition,
    /// Where it begins.
    pub position: Position,
    /// Whether it waits to be resumed.
    pub paused: bool,
    /// The key of the request that wants it, if it came with one. Keys of jobs and schedules are the same keys.
    pub idempotency: Option<Idempotency>,
}

/// A schedule as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// Its id.
    pub id: ScheduleId,
    /// Its tenant and name.
    pub key: ScheduleRef,
    /// Grows with every edit, pause and resume, from 1; firing leaves it alone.
    pub version: i64,
    /// Whether somebody paused it: then it is never due.
    pub paused: bool,
    /// What it says.
    pub definition: Definition,
    /// How far it has come.
    pub position: Position,
    /// The job that it fired last.
    pub last_job: Option<JobId>,
    /// Jobs that it has fired in all.
    pub runs: u64,
    /// Why it cannot fire, said by a process that tried. A later step without one, or an edit, takes it away.
    pub problem: Option<String>,
    /// When it was created, on the ledger's clock.
    pub created_at: Timestamp,
    /// When it was last edited, paused or resumed, on the ledger's clock.
    pub updated_at: Timestamp,
}

/// What became of a wish to create.
#[expect(clippy::large_enum_variant, reason = "an answer is looked at once, not kept")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Created {
    /// It is committed. Also when an earlier call with the same id had committed it.
    New(Schedule),
    /// The same request came under this key before. Nothing was created.
    Replayed(ScheduleId),
    /// Another request came under this key before. Nothing was created.
    KeyReused,
    /// The tenant has another schedule of this name. Nothing was created, and a key is left free.
    NameTaken,
    /// The tenant has as many schedules as it may have. Nothing was created, and a key is left free.
    TooMany,
}

/// What became of a wish to change.
#[expect(clippy::large_enum_variant, reason = "an answer is looked at once, not kept")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changed {
    /// It is committed; the schedule as it is now, or as it was when it was deleted.
    Done(Schedule),
    /// It is not at the version, or not in the place, that the wish was about. Nothing was changed.
    Stale,
    /// There is no such schedule.
    Unknown,
}

/// A new definition for a schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// Which schedule.
    pub id: ScheduleId,
    /// The version that the edit is of.
    pub version: i64,
    /// What it is to say.
    pub definition: Definition,
    /// `None`: it stays where it is. Otherwise where it goes on.
    pub moved: Option<Move>,
}

/// A move from one place to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// The [`Position::fired_through`] that it starts from. From any other place nothing is moved.
    pub from: String,
    /// Where it leads.
    pub to: Position,
}

/// A schedule that is due, without its definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// Which schedule.
    pub id: ScheduleId,
    /// Its version: a definition of another version is no longer, or not yet, true.
    pub version: i64,
    /// How far it has come.
    pub position: Position,
    /// The job that it fired last.
    pub last_job: Option<JobId>,
    /// Jobs that it has fired in all.
    pub runs: u64,
}

/// The answer to [`Schedules::due`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agenda {
    /// The ledger's clock as this was read: what is due goes by it, not by the reader's.
    pub now: Timestamp,
    /// What is due, the longest overdue first.
    pub due: Vec<Due>,
    /// When the first of all that are not paused is due; in the past while something is.
    pub next_at: Option<Timestamp>,
}

/// A step that a schedule takes: past some ticks, with the jobs of those that are to run.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Which schedule.
    pub schedule: ScheduleId,
    /// The version that the step was computed from.
    pub version: i64,
    /// From where to where. The same place twice only puts off when it is looked at again.
    pub moved: Move,
    /// The jobs of its ticks, in their order; none when all of them are left out. Ids are minted on the ledger's clock.
    pub jobs: Vec<Job>,
    /// Why it cannot fire, if it cannot.
    pub problem: Option<String>,
}

/// What became of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stepped {
    /// It is committed, with its jobs. Also when an earlier call with the same jobs had committed it and no other step
    /// has followed.
    Done,
    /// The schedule is not where the step starts, is paused, was edited or is gone: nothing moved, no job was accepted.
    Stale,
}

/// The answer to [`Schedules::fire`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchFired {
    /// One per step, in the order given.
    pub steps: Vec<Stepped>,
    /// The receipt of the jobs of the steps that were taken; `None` when there are none.
    pub receipt: Option<ReceiptId>,
}

/// Where schedules are kept: beside the jobs, in the same ledger.
#[async_trait]
pub trait Schedules: Send + Sync + 'static {
    /// Creates a schedule, durably, with version 1, if its key, its name and the number of its tenant's schedules allow it;
    /// these are looked at in this order. However many create at once, no more than `schedules_max` of one tenant are there.
    async fn create(&self, new: &NewSchedule, schedules_max: usize) -> Result<Created>;

    /// Creates a schedule that comes with Haul, unless this was ever called for its tenant and name before: whoever has
    /// edited, paused or deleted it since has the last word. A schedule of somebody else's that has the name stays. Tells
    /// whether it was created; after a lost answer, whether it was by the later call.
    async fn create_once(&self, new: &NewSchedule) -> Result<bool>;

    /// A schedule by its name.
    async fn get(&self, key: &ScheduleRef) -> Result<Option<Schedule>>;

    /// The tenant's schedules in the order of their names' bytes, those after `after`, at most `limit`.
    async fn list(&self, tenant: &Tenant, after: Option<&ScheduleName>, limit: usize) -> Result<Vec<Schedule>>;

    /// Schedules by id, in any order, without those that do not exist. At most 1,000 ids.
    async fn load(&self, ids: &[ScheduleId]) -> Result<Vec<Schedule>>;

    /// Gives a schedule a new definition, if it has the version and, when it is to be moved, is in the place that the
    /// edit is about.
    async fn edit(&self, edit: &Edit) -> Result<Changed>;

    /// Pauses or resumes a schedule, if it has the version; any version when none is given. One that is so already is
    /// left as it is.
    async fn set_paused(&self, key: &ScheduleRef, version: Option<i64>, paused: bool) -> Result<Changed>;

    /// Deletes a schedule, if it has the version; any version when none is given. Its jobs stay.
    async fn delete(&self, key: &ScheduleRef, version: Option<i64>) -> Result<Changed>;

    /// What is due by the ledger's clock, at most `limit`, and when the next is. Must be cheap: it is asked every second.
    async fn due(&self, limit: usize) -> Result<Agenda>;

    /// Takes steps, durably, all in one transaction: each schedule that is still where its step starts, at its version
    /// and not paused, is moved on, and the jobs of exactly these are accepted, as by
    /// [`Ledger::accept`](crate::Ledger::accept), with one receipt. Deletes the receipts that the caller is done with.
    ///
    /// Each schedule comes once in a batch. Any number of processes may call this at once with the same steps: one of
    /// them takes each. An error that is not transient is about some job of the batch: then nothing was moved.
    async fn fire(&self, steps: &[Step], owner: ProcessId, done: &[ReceiptId]) -> Result<BatchFired>;
}
