//! What the database's rows mean.

use crate::error::corrupt;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use haul_core::{
    FinalState, Job, JobError, JobId, JobOptions, Kind, Priority, Queue, Tenant, Timestamp,
    ledger::{LedgerError, Result},
};
use std::sync::Arc;
use uuid::Uuid;

/// A value that no version of ours has ever written.
#[derive(Debug, thiserror::Error)]
#[error("{0} of job {1} is out of range")]
struct OutOfRange(&'static str, Uuid);

/// The columns of a job, as they are stored.
pub(crate) struct JobRow {
    pub(crate) id: Uuid,
    pub(crate) run_at: DateTime<Utc>,
    pub(crate) priority: i16,
    pub(crate) tenant: String,
    pub(crate) queue: String,
    pub(crate) kind: String,
    pub(crate) payload: Vec<u8>,
    pub(crate) options: Option<String>,
}

impl JobRow {
    pub(crate) fn decode(self) -> Result<Job> {
        Ok(Job {
            id: JobId(self.id),
            tenant: Tenant::new(self.tenant).map_err(corrupt)?,
            queue: Queue::new(self.queue).map_err(corrupt)?,
            kind: Kind::new(self.kind).map_err(corrupt)?,
            priority: priority(self.id, self.priority)?,
            run_at: self.run_at.into(),
            payload: Bytes::from(self.payload),
            options: options(self.options.as_deref())?,
        })
    }
}

pub(crate) fn options(stored: Option<&str>) -> Result<Arc<JobOptions>> {
    JobOptions::decode(stored).map_err(corrupt)
}

pub(crate) fn priority(id: Uuid, stored: i16) -> Result<Priority> {
    let priority = u8::try_from(stored).ok().and_then(Priority::new);
    priority.ok_or_else(|| corrupt(OutOfRange("the priority", id)))
}

pub(crate) fn state(id: Uuid, stored: i16) -> Result<FinalState> {
    FinalState::from_code(stored).ok_or_else(|| corrupt(OutOfRange("the outcome", id)))
}

pub(crate) fn attempt(id: Uuid, stored: i32) -> Result<u32> {
    u32::try_from(stored).map_err(|_| corrupt(OutOfRange("an attempt", id)))
}

pub(crate) fn error(message: String, detail: Option<String>) -> JobError {
    JobError { message, detail }
}

pub(crate) fn time(stored: DateTime<Utc>) -> Timestamp {
    stored.into()
}

/// How many rows a count says there are.
pub(crate) fn count(id: Uuid, stored: i64) -> Result<u32> {
    u32::try_from(stored).map_err(|_| corrupt(OutOfRange("the number of failures", id)))
}

/// An attempt's number as the column holds it.
pub(crate) fn attempt_column(attempt: u32) -> Result<i32> {
    #[derive(Debug, thiserror::Error)]
    #[error("an attempt has the number {0}")]
    struct TooLarge(u32);
    i32::try_from(attempt).map_err(|_| LedgerError::Refused(Box::new(TooLarge(attempt))))
}
