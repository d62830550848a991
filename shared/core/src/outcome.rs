//! How a job ended, and the states that a reader sees.

use crate::{
    id::JobId,
    limits::{ERROR_DETAIL_BYTES_MAX, ERROR_MESSAGE_BYTES_MAX},
    time::Timestamp,
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// The three ways a job ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FinalState {
    /// A handler finished it.
    Succeeded,
    /// It failed for good.
    Dead,
    /// Somebody cancelled it.
    Cancelled,
}

impl FinalState {
    /// The number that ledgers store.
    pub const fn code(self) -> i16 {
        match self {
            Self::Succeeded => 1,
            Self::Dead => 2,
            Self::Cancelled => 3,
        }
    }
    /// The state of a stored number.
    pub const fn from_code(code: i16) -> Option<Self> {
        match code {
            1 => Some(Self::Succeeded),
            2 => Some(Self::Dead),
            3 => Some(Self::Cancelled),
            _ => None,
        }
    }
    /// The word for it in the API, metrics and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Dead => "dead",
            Self::Cancelled => "cancelled",
        }
    }
}

/// What went wrong in an attempt. Its text is cleaned of control characters and cut to the limits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobError {
    /// One line for people.
    pub message: String,
    /// More, where there is more: a backtrace, an answer's body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl JobError {
    /// An error with a message only.
    pub fn new(message: impl AsRef<str>) -> Self {
        Self { message: clean(message.as_ref(), ERROR_MESSAGE_BYTES_MAX), detail: None }
    }
    /// The same with detail.
    #[must_use]
    pub fn with_detail(mut self, detail: impl AsRef<str>) -> Self {
        self.detail = Some(clean(detail.as_ref(), ERROR_DETAIL_BYTES_MAX));
        self
    }
}

/// Text that every store and terminal can hold: no control characters except line ends and tabs, at most `bytes_max`.
fn clean(text: &str, bytes_max: usize) -> String {
    let mut kept = String::with_capacity(text.len().min(bytes_max));
    for c in text.chars() {
        let c = if c.is_control() && !matches!(c, '\n' | '\t') { '\u{fffd}' } else { c };
        if kept.len() + c.len_utf8() > bytes_max {
            break;
        }
        kept.push(c);
    }
    kept
}

/// One failed attempt after which the job is tried again.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure {
    /// Which attempt, from 1.
    pub attempt: u32,
    /// When it failed.
    pub at: Timestamp,
    /// Why.
    pub error: JobError,
    /// When the next attempt may start.
    pub retry_at: Timestamp,
    /// Whether it took the process that ran it down with it.
    pub crashed: bool,
}

/// How a job ended. The first one committed stays.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Which of the three.
    pub state: FinalState,
    /// The attempt that ended it, from 1; 0 when none had started.
    pub attempt: u32,
    /// When.
    pub finished_at: Timestamp,
    /// What a successful handler returned: JSON. Never logged.
    pub result: Option<Bytes>,
    /// Why it is dead.
    pub error: Option<JobError>,
}

/// The state of a job as a reader sees it: derived, never stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobState {
    /// Its time has not come yet.
    Scheduled,
    /// It waits for a worker.
    Queued,
    /// A worker holds its lease.
    Running,
    /// An attempt failed; the next one comes.
    Retrying,
    /// Final.
    Succeeded,
    /// Final.
    Dead,
    /// Final.
    Cancelled,
}

impl JobState {
    /// Derives the state: an outcome decides, then a lease, then a failure, then the time.
    pub fn derive(outcome: Option<FinalState>, leased: bool, failures: u32, run_at: Timestamp, now: Timestamp) -> Self {
        match outcome {
            Some(FinalState::Succeeded) => Self::Succeeded,
            Some(FinalState::Dead) => Self::Dead,
            Some(FinalState::Cancelled) => Self::Cancelled,
            None if leased => Self::Running,
            None if failures > 0 => Self::Retrying,
            None if run_at > now => Self::Scheduled,
            None => Self::Queued,
        }
    }
    /// The final state, if it is one.
    pub const fn as_final(self) -> Option<FinalState> {
        match self {
            Self::Succeeded => Some(FinalState::Succeeded),
            Self::Dead => Some(FinalState::Dead),
            Self::Cancelled => Some(FinalState::Cancelled),
            _ => None,
        }
    }
}

/// Everything the ledger knows about a job.
#[derive(Debug, Clone, PartialEq)]
pub struct JobRecord {
    /// What was asked.
    pub job: crate::job::Job,
    /// How many attempts failed.
    pub failure_count: u32,
    /// The failed attempts, oldest first. A list holds the latest only.
    pub failures: Vec<Failure>,
    /// How it ended, if it did.
    pub outcome: Option<Outcome>,
}

impl JobRecord {
    /// The id of the job.
    pub fn id(&self) -> JobId {
        self.job.id
    }

    /// Whether its payload was erased, and with it its result and the detail of its errors. No payload is empty: the
    /// least that JSON can be is a byte.
    pub fn is_erased(&self) -> bool {
        self.outcome.is_some() && self.job.payload.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_text_is_cleaned_and_cut() {
        let error = JobError::new(format!("a\u{0}b\u{1b}[31m{}", "é".repeat(2_000)));
        assert!(error.message.starts_with("a\u{fffd}b\u{fffd}[31m"));
        assert!(error.message.len() <= ERROR_MESSAGE_BYTES_MAX);
    }
}
