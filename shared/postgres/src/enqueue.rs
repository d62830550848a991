//! Enqueueing in a transaction of the user's own: the job exists if and only if that transaction commits.
//!
//! The same as `SELECT haul.enqueue(...)`, for services in Rust. Nothing here commits.

use chrono::{DateTime, Utc};
use haul_core::{
    JobId, Kind, Priority, Queue, Tenant,
    limits::{ATTEMPTS_MAX, TIMEOUT_MS_MAX},
    name::NameError,
};
use serde::Serialize;
use sqlx::{PgConnection, postgres::types::PgInterval};
use std::{collections::BTreeMap, time::Duration};

/// Why a job was not enqueued.
#[derive(Debug, thiserror::Error)]
pub enum EnqueueError {
    /// A name that no queue, kind or tenant can have.
    #[error("the {argument} {fault}")]
    Name {
        /// Which argument.
        argument: &'static str,
        /// What is wrong with it.
        fault: NameError,
    },
    /// A number out of its range.
    #[error("{0}")]
    Range(&'static str),
    /// The payload does not serialise as JSON.
    #[error("the payload is not JSON")]
    Payload(#[source] serde_json::Error),
    /// The statement failed: the transaction can only be rolled back.
    #[error("the job could not be enqueued")]
    Database(#[from] sqlx::Error),
}

/// A job to enqueue: `Enqueue::new("order.ship", &order)?.queue("orders").delay(minute)`.
///
/// What is not said is at its default: queue and tenant `default`, priority 5, due at once. What is said wrongly is
/// refused by [`enqueue`], before anything is sent.
#[derive(Debug, Clone)]
#[must_use = "it does nothing until it is given to `enqueue`"]
pub struct Enqueue {
    kind: String,
    payload: Vec<u8>,
    queue: Option<String>,
    tenant: Option<String>,
    priority: Option<u8>,
    due: Due,
    max_attempts: Option<u16>,
    timeout: Option<Duration>,
    deadline: Option<DateTime<Utc>>,
    tags: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Copy)]
enum Due {
    Now,
    At(DateTime<Utc>),
    After(Duration),
}

impl Enqueue {
    /// A job of that kind, with anything that serialises as JSON for its payload; at most 256 KiB.
    pub fn new(kind: impl Into<String>, payload: &(impl Serialize + ?Sized)) -> Result<Self, EnqueueError> {
        Ok(Self {
            kind: kind.into(),
            payload: serde_json::to_vec(payload).map_err(EnqueueError::Payload)?,
            queue: None,
            tenant: None,
            priority: None,
            due: Due::Now,
            max_attempts: None,
            timeout: None,
            deadline: None,
            tags: BTreeMap::new(),
        })
    }

    /// Where it waits.
    pub fn queue(mut self, queue: impl Into<String>) -> Self {
        self.queue = Some(queue.into());
        self
    }

    /// Whose it is.
    pub fn tenant(mut self, tenant: impl Into<String>) -> Self {
        self.tenant = Some(tenant.into());
        self
    }

    /// How urgent it is: 0 first, 9 last.
    pub fn priority(mut self, priority: u8) -> Self {
        self.priority = Some(priority);
        self
    }

    /// The earliest time of its first attempt. The last of `run_at` and `delay` holds.
    pub fn run_at(mut self, time: DateTime<Utc>) -> Self {
        self.due = Due::At(time);
        self
    }

    /// How long from now its first attempt may start. The last of `run_at` and `delay` holds.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.due = Due::After(delay);
        self
    }

    /// Attempts in all, the first one included: 1 to 1,000.
    pub fn max_attempts(mut self, attempts: u16) -> Self {
        self.max_attempts = Some(attempts);
        self
    }

    /// How long one attempt may take: 1 ms to 24 hours.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// No attempt starts after this time.
    pub fn deadline(mut self, time: DateTime<Utc>) -> Self {
        self.deadline = Some(time);
        self
    }

    /// A mark to find it by; at most 16.
    pub fn tag(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.tags.insert(name.into(), value.into());
        self
    }
}

/// Enqueues a job in the connection's transaction, or at once when none is open. Returns its id.
///
/// Give it `&mut *transaction`. Workers hear of the job within milliseconds of the commit. A name or number that is
/// refused here leaves the transaction as it was; after any other error it can only be rolled back.
pub async fn enqueue(connection: &mut PgConnection, job: Enqueue) -> Result<JobId, EnqueueError> {
    let name = |argument| move |fault| EnqueueError::Name { argument, fault };
    let kind = Kind::new(&job.kind).map_err(name("kind"))?;
    let queue = job.queue.map_or(Ok(Queue::default()), Queue::new).map_err(name("queue"))?;
    let tenant = job.tenant.map_or(Ok(Tenant::default()), Tenant::new).map_err(name("tenant"))?;
    let priority = job.priority.map_or(Some(Priority::default()), Priority::new);
    let priority = priority.ok_or(EnqueueError::Range("the priority must be 0 (first) to 9 (last)"))?;
    if job.max_attempts.is_some_and(|attempts| !(1..=ATTEMPTS_MAX).contains(&attempts)) {
        return Err(EnqueueError::Range("max_attempts must be 1 to 1000"));
    }
    let timeouts = 1..=u128::from(TIMEOUT_MS_MAX);
    if job.timeout.is_some_and(|timeout| !timeouts.contains(&timeout.as_millis())) {
        return Err(EnqueueError::Range("the timeout must be 1 ms to 24 hours"));
    }
    let (run_at, delay) = match job.due {
        Due::Now => (None, None),
        Due::At(time) => (Some(time), None),
        Due::After(delay) => (None, Some(interval(delay))),
    };
    let tags = (!job.tags.is_empty()).then(|| serde_json::to_string(&job.tags)).transpose();
    let tags = tags.map_err(EnqueueError::Payload)?;
    let row = sqlx::query_file!(
        "sql/enqueue.sql",
        kind.as_str(),
        job.payload,
        queue.as_str(),
        i32::from(priority.get()),
        run_at,
        delay,
        job.max_attempts.map(i32::from),
        job.timeout.map(interval),
        job.deadline,
        tags,
        tenant.as_str(),
    );
    Ok(JobId(row.fetch_one(connection).await?.id))
}

/// What is longer than an interval can hold is refused by the server as too far ahead.
fn interval(duration: Duration) -> PgInterval {
    let microseconds = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
    PgInterval { months: 0, days: 0, microseconds }
}
