//! Audits: whether ledger and dispatch agree about every job.
//!
//! Only the nouns are here, so that the API can serve what the reconciler does without knowing it.

use crate::{dispatch::DispatchError, id::JobId, ledger::LedgerError, name::QueueRef, time::Timestamp};
use async_trait::async_trait;
use std::time::Duration;

/// Examples of a finding that a report holds, over all queues.
pub const EXAMPLES_MAX: usize = 100;

/// Why there is no report. It says nothing about jobs.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The ledger did not answer.
    #[error("the audit could not use the ledger")]
    Ledger(#[from] LedgerError),
    /// The dispatch did not answer.
    #[error("the audit could not use the dispatch")]
    Dispatch(#[from] DispatchError),
    /// A store hangs.
    #[error("the audit had no answer in time")]
    TimedOut,
    /// Another caller's audit is under way in this process.
    #[error("an audit is under way")]
    UnderWay,
}

/// Compares ledger and dispatch.
#[async_trait]
pub trait Audit: Send + Sync + 'static {
    /// Compares every queue, heals what it finds and tells what it was. Begins nothing new once `within` has passed: then
    /// the report is not complete. One at a time.
    async fn audit(&self, within: Duration) -> Result<AuditReport, AuditError>;
}

/// What an audit found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditReport {
    /// When it began.
    pub begun_at: Timestamp,
    /// How long it took.
    pub took: Duration,
    /// Whether everything was compared; otherwise time ran out, and only the findings made until then are here.
    pub complete: bool,
    /// Every queue, in the order of their names.
    pub queues: Vec<QueueAudit>,
}

impl AuditReport {
    /// How often something was found.
    pub fn findings(&self) -> u64 {
        self.queues.iter().flat_map(QueueAudit::findings).map(|(_, findings)| findings.count).sum()
    }
}

/// What an audit found in one queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueAudit {
    /// Which queue.
    pub queue: QueueRef,
    /// Whether it was compared: one that is lost or being rebuilt is not, until it is whole.
    pub compared: bool,
    /// Its jobs without an outcome, but for those that are too young to be judged.
    pub jobs: u64,
    /// Its tickets.
    pub tickets: u64,
    /// Ready tickets of jobs that have ended, as a cancel leaves behind. No finding: the claim that meets one drops it.
    pub leftover: u64,
    /// Jobs without an outcome and without a ticket. Healed: they were enqueued.
    pub unreachable: Findings,
    /// Leases that expired long ago and that nobody took up. A worker of their kind was woken, if there is one.
    pub abandoned: Findings,
    /// Jobs that have ended and whose ticket is kept until its time. Healed: it was removed.
    pub settled: Findings,
}

impl QueueAudit {
    /// A queue of which nothing is known yet.
    pub fn new(queue: QueueRef) -> Self {
        let none = Findings::default;
        let (unreachable, abandoned, settled) = (none(), none(), none());
        Self { queue, compared: true, jobs: 0, tickets: 0, leftover: 0, unreachable, abandoned, settled }
    }

    /// Its findings by name.
    pub fn findings(&self) -> [(&'static str, &Findings); 3] {
        [("unreachable", &self.unreachable), ("abandoned", &self.abandoned), ("settled", &self.settled)]
    }
}

/// Jobs of which the same was found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Findings {
    /// How many.
    pub count: u64,
    /// Some of them.
    pub examples: Vec<JobId>,
}
