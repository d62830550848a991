//! What a run leaves behind, and the checker reads: three independent accounts, and which faults there were.
//!
//! The client's history says what was promised, the third party's book what was done, the ledger's dump what was written
//! down. None of them is made by the code under test: the last one comes from `psql`, and its log from triggers. Times are
//! milliseconds since 1970 on this machine's clock, which is also the ledger's.

use crate::payments::Payments;
use serde::Serialize;
use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// Now, on the clock of all evidence.
#[must_use]
pub fn now_ms() -> i64 {
    #[expect(clippy::disallowed_methods, reason = "evidence is timed from outside of Haul")]
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// One step of one submit, as its client saw it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Event {
    /// When.
    pub at_ms: i64,
    /// The submit's idempotency key; also the name of its effect at the third party.
    pub key: String,
    /// What happened.
    #[serde(flatten)]
    pub step: Step,
}

/// What a client does and is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum Step {
    /// It is about to submit.
    Invoke {
        /// The job's kind.
        kind: String,
    },
    /// 201: the job is accepted.
    Ok {
        /// The job's id.
        job: String,
    },
    /// It was told that the job is not accepted, and does not try again.
    Fail {
        /// The HTTP status.
        status: u16,
    },
    /// It cannot know: no answer, or one that does not say. It tries again under the same key.
    Unknown {
        /// What it saw.
        why: String,
    },
    /// It is about to cancel the job.
    Cancel,
    /// 200: the job is cancelled.
    Cancelled,
}

/// A request that reached the third party.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Send {
    /// When it was received.
    pub at_ms: i64,
    /// The submit that it is for, from its path.
    pub key: String,
    /// Whether it only says that an attempt has begun.
    pub is_beginning: bool,
    /// Its idempotency key; what a third party goes by.
    pub idempotency_key: String,
    /// Whether it changed something there: the first under its idempotency key, when the party was not out of order.
    pub applied: bool,
}

/// Which table a line of the ledger's log is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Table {
    /// `haul.outcome`
    Outcome,
    /// `haul.failure`
    Failure,
}

/// A row written to the ledger, as a trigger saw it. The log keeps rows of committed transactions only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Written {
    /// When.
    pub at_ms: i64,
    /// Where.
    pub table: Table,
    /// `INSERT`, `UPDATE` or `DELETE`.
    pub operation: String,
    /// The job.
    pub job: String,
    /// The attempt.
    pub attempt: i64,
    /// The outcome's state as stored: 1 succeeded, 2 dead, 3 cancelled; 0 for a failure.
    pub state: i64,
}

/// A job of the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct JobRow {
    /// Its id.
    pub id: String,
    /// The submit that it came from.
    pub key: String,
    /// Its kind.
    pub kind: String,
    /// When it was to run.
    pub run_at_ms: i64,
}

/// A job of a schedule, found by its tags.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TickRow {
    /// The schedule, by the tag `haul.schedule`.
    pub schedule: String,
    /// The tick, by the tag `haul.tick`.
    pub tick: String,
    /// When the tick was due, read from its name: seconds since 1970.
    pub due_s: i64,
    /// The job.
    pub job: String,
    /// When it was accepted, as a trigger saw it.
    pub at_ms: i64,
}

/// Everything that the ledger says at the end.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Dump {
    /// Every job that a client asked for.
    pub jobs: Vec<JobRow>,
    /// Every write to outcomes and failures, in order.
    pub log: Vec<Written>,
    /// The state of each job that has an outcome.
    pub outcomes: BTreeMap<String, i64>,
    /// The job of each row that a transactional handler wrote.
    pub rows: Vec<String>,
    /// The jobs of schedules.
    pub ticks: Vec<TickRow>,
}

/// When a schedule fires, in terms that need no calendar.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// `every`: so many seconds, counted from 1970.
    Every(i64),
    /// `cron` with seconds, in UTC: at these seconds of every minute.
    Seconds(Vec<i64>),
}

impl Rule {
    /// Whether a second since 1970 is a tick.
    #[must_use]
    pub fn fires_at(&self, second: i64) -> bool {
        match self {
            Self::Every(seconds) => second % seconds == 0,
            Self::Seconds(seconds) => seconds.contains(&(second % 60)),
        }
    }

    /// How the names of its ticks end.
    #[must_use]
    pub fn suffix(&self) -> &'static str {
        match self {
            Self::Every(_) => "Z",
            Self::Seconds(_) => "[UTC]",
        }
    }
}

/// A part of a schedule's time, in which it was asked to fire by one rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Timetable {
    /// The schedule.
    pub schedule: String,
    /// What it was asked.
    pub rule: Rule,
    /// The part begins after this second since 1970.
    pub after_s: i64,
    /// It ends with this one.
    pub through_s: i64,
}

/// When a schedule was paused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pause {
    /// The schedule.
    pub schedule: String,
    /// Its pause was committed by then.
    pub from_ms: i64,
    /// It was resumed no earlier.
    pub to_ms: i64,
}

/// A fault, from its beginning to its end; the same for one that is over at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// What it was.
    pub name: String,
    /// When it began.
    pub from_ms: i64,
    /// When it was over, and recovery could begin.
    pub to_ms: i64,
}

/// What the dispatch holds at the end, and what it should hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Reach {
    /// Jobs without an outcome in the ledger.
    pub unsettled: u64,
    /// Tickets in the dispatch, whatever their state; none when it could not be asked.
    pub tickets: Option<u64>,
    /// What `POST /v1/audit` found, job by job; none when it could not compare everything.
    pub findings: Option<u64>,
    /// How long it was given to agree.
    pub waited_ms: u64,
}

/// Everything that is known about a run.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Evidence {
    /// The clients' history, in order of time.
    pub history: Vec<Event>,
    /// The third party's book, in order of time.
    pub sends: Vec<Send>,
    /// The ledger's dump.
    pub ledger: Dump,
    /// What schedules were asked to fire.
    pub timetable: Vec<Timetable>,
    /// When schedules were paused.
    pub pauses: Vec<Pause>,
    /// The faults that landed.
    pub faults: Vec<Fault>,
    /// The dispatch against the ledger, where that was compared.
    pub reach: Option<Reach>,
    /// What is known of payments, where there were some.
    pub payments: Option<Payments>,
    /// When the run ended.
    pub end_ms: i64,
}

/// `succeeded`, as the ledger stores it.
pub const SUCCEEDED: i64 = 1;
/// `dead`, as the ledger stores it.
pub const DEAD: i64 = 2;
/// `cancelled`, as the ledger stores it.
pub const CANCELLED: i64 = 3;

/// What came of a submit, as its client knows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Submit {
    /// The job's kind.
    pub kind: String,
    /// Each id that it was told, with when.
    pub accepted: Vec<(String, i64)>,
    /// Whether its cancellation was asked for.
    pub cancel_asked: bool,
    /// Whether it was told that the job is cancelled.
    pub cancelled: bool,
}

impl Evidence {
    /// The history by submit.
    #[must_use]
    pub fn submits(&self) -> BTreeMap<&str, Submit> {
        let mut submits: BTreeMap<&str, Submit> = BTreeMap::new();
        for event in &self.history {
            let submit = submits.entry(&event.key).or_default();
            match &event.step {
                Step::Invoke { kind } => submit.kind.clone_from(kind),
                Step::Ok { job } => submit.accepted.push((job.clone(), event.at_ms)),
                Step::Cancel => submit.cancel_asked = true,
                Step::Cancelled => submit.cancelled = true,
                Step::Fail { .. } | Step::Unknown { .. } => {}
            }
        }
        submits
    }

    /// Whether the job is due so late that this run could not show its end.
    #[must_use]
    pub fn is_far(&self, job: &JobRow) -> bool {
        job.run_at_ms > self.end_ms
    }
}
