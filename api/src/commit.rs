//! One commit of the intake: ids, the ledger, what to do when it fails, and the tickets afterwards.
//!
//! Ids are minted here, right before the commit, so that a batch's ids are in order and fresh. When the ledger's answer
//! is lost, the same rows with the same ids are sent again, with pauses, before anybody is answered: a commit that had
//! happened all the same is then recognised. After [`RESEND_MAX`] the rows are answered "unknown". A batch that the
//! ledger refuses is split until only the bad row is left. While the ledger is down, further batches are tried once only,
//! so that clients are told within seconds.

#[cfg(feature = "broken")]
mod broken;

use crate::{
    draft::Draft,
    intake::{Admitted, Entry, Verdict},
    problem::{Problem, ProblemType},
    receipts::Receipts,
    tickets::{Handover, Tickets},
};
use futures::FutureExt;
use haul_core::{
    IdMint, Ledger, ProcessId, Tenant,
    dispatch::Ticket,
    ledger::{Accepted, BatchAccepted, Idempotency, LedgerError, NewJob},
    telemetry::{self, AcceptedMeter},
};
use std::{
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::time::{sleep, timeout};

/// How long rows are sent again after lost answers.
const RESEND_MAX: Duration = Duration::from_secs(20);
/// How long rows may wait in line; older ones are answered "not accepted" without being sent.
const LINE_WAIT_MAX: Duration = Duration::from_secs(20);
/// How long one call to the ledger may take before its answer counts as lost.
const CALL_MAX: Duration = Duration::from_secs(10);
/// Ids that are older than this when their commit returns may lie in minutes that a rebuild has read already: their
/// receipt is left to repair, which reads them again.
const ID_AGE_MAX: Duration = Duration::from_secs(30);
/// The first and the longest pause between two tries.
const PAUSES: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));

/// A job to be accepted, without its id.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) draft: Draft,
    pub(crate) idempotency: Option<Idempotency>,
}

/// Why a row was not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Rejection {
    /// Another request came under its key.
    KeyReused,
    /// Its key is held by a commit that is under way.
    KeyInUse,
    /// One queue or kind too many.
    LimitReached(String),
    /// The ledger cannot hold it.
    Refused,
    /// It waited in line for too long; it was not accepted.
    Expired,
    /// The ledger cannot be reached; whether it was accepted is unknown.
    Unavailable,
    /// A defect.
    Broken,
    /// The committing task is gone.
    Lost,
}

impl Rejection {
    pub(crate) fn into_problem(self) -> Problem {
        let of = |kind, detail: &'static str| Problem::new(kind, detail);
        match self {
            Self::KeyReused => of(ProblemType::IdempotencyKeyReused, "another request came under this key before"),
            Self::KeyInUse => of(ProblemType::IdempotencyKeyInUse, "a request under this key is being committed"),
            Self::LimitReached(detail) => Problem::new(ProblemType::LimitReached, detail),
            Self::Refused => of(ProblemType::JobRefused, "the store cannot hold this job"),
            Self::Expired => of(ProblemType::Overloaded, "the job waited too long for its commit; it was not accepted"),
            Self::Unavailable => {
                of(ProblemType::LedgerUnavailable, "the ledger did not answer; whether the job was accepted is unknown")
            }
            Self::Broken | Self::Lost => Problem::internal("a commit ended without an answer; see the log before"),
        }
    }

    /// Whether the row failed for no fault of its own.
    pub(crate) fn is_unavailability(&self) -> bool {
        matches!(self, Self::Unavailable | Self::Expired | Self::Lost)
    }
}

/// Carries out commits. Clones share everything.
#[derive(Clone)]
pub(crate) struct Committer {
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) mint: Arc<IdMint>,
    pub(crate) process: ProcessId,
    pub(crate) tenant: Tenant,
    pub(crate) tickets: Tickets,
    pub(crate) receipts: Arc<Receipts>,
    pub(crate) accepted: AcceptedMeter,
    /// Whether the last batch, of any lane, ran out of tries.
    pub(crate) is_down: Arc<AtomicBool>,
}

impl Committer {
    /// Commits the rows of all entries together; one answer per entry, in order.
    pub(crate) async fn commit(&self, lane: &'static str, entries: Vec<Entry>) -> Vec<Vec<Verdict>> {
        let mut jobs = Vec::with_capacity(entries.len());
        let mut sizes = Vec::with_capacity(entries.len());
        for entry in entries {
            let is_fresh = entry.since.elapsed() < LINE_WAIT_MAX;
            sizes.push((entry.rows.len(), is_fresh));
            if is_fresh {
                jobs.extend(entry.rows.into_iter().map(|row| self.job(row)));
            }
        }
        let started = Instant::now();
        #[cfg(not(feature = "broken"))]
        let verdicts = self.accept_all(&jobs).await;
        #[cfg(feature = "broken")]
        let verdicts = broken::accept_all(self, &jobs).await;
        let mut verdicts = verdicts.into_iter();
        if !jobs.is_empty() {
            #[expect(clippy::cast_precision_loss, reason = "a batch has some thousand rows at most")]
            metrics::histogram!(telemetry::COMMIT_ROWS, "lane" => lane).record(jobs.len() as f64);
            metrics::histogram!(telemetry::COMMIT_SECONDS, "lane" => lane).record(started.elapsed());
        }
        let answer = |(rows, is_fresh): (usize, bool)| {
            if is_fresh { verdicts.by_ref().take(rows).collect() } else { vec![Err(Rejection::Expired); rows] }
        };
        sizes.into_iter().map(answer).collect()
    }

    fn job(&self, row: Row) -> NewJob {
        NewJob { job: row.draft.into_job(self.mint.next(), self.tenant.clone()), idempotency: row.idempotency }
    }

    /// Has all rows accepted, split where the ledger refuses them together. One verdict per job, in order.
    async fn accept_all(&self, jobs: &[NewJob]) -> Vec<Verdict> {
        let tries_end = Instant::now() + if self.is_down.load(Ordering::Relaxed) { Duration::ZERO } else { RESEND_MAX };
        let mut verdicts = Vec::with_capacity(jobs.len());
        // A stack of what is still to be done, the earliest rows on top.
        let mut parts = vec![jobs];
        while let Some(part) = parts.pop() {
            if part.is_empty() {
                continue;
            }
            match self.accept(part, tries_end).await {
                Ok(accepted) => verdicts.extend(self.conclude(part, &accepted)),
                Err(Rejection::KeyInUse | Rejection::LimitReached(_) | Rejection::Refused) if part.len() > 1 => {
                    let (early, late) = part.split_at(part.len() / 2);
                    parts.extend([late, early]);
                }
                Err(rejection) => verdicts.extend(vec![Err(rejection); part.len()]),
            }
        }
        verdicts
    }

    /// Sends rows until the ledger has answered, or `tries_end` has passed.
    async fn accept(&self, jobs: &[NewJob], tries_end: Instant) -> Result<BatchAccepted, Rejection> {
        let mut pause = PAUSES.0;
        loop {
            let error = match self.accept_once(jobs).await {
                Ok(accepted) => {
                    self.is_down.store(false, Ordering::Relaxed);
                    return Ok(accepted);
                }
                Err(error) => error,
            };
            match error {
                LedgerError::Contended(_) => return Err(Rejection::KeyInUse),
                LedgerError::LimitReached(detail) => return Err(Rejection::LimitReached(detail)),
                LedgerError::Refused(cause) => {
                    if jobs.len() == 1 {
                        tracing::warn!(%cause, "the ledger refuses a job");
                    }
                    return Err(Rejection::Refused);
                }
                LedgerError::Corrupt(cause) => {
                    tracing::error!(%cause, "a commit failed");
                    return Err(Rejection::Broken);
                }
                LedgerError::Unavailable(cause) if Instant::now() + pause >= tries_end => {
                    if !self.is_down.swap(true, Ordering::Relaxed) {
                        tracing::error!(%cause, "the ledger is not reachable: submits are answered 503");
                    }
                    return Err(Rejection::Unavailable);
                }
                LedgerError::Unavailable(_) => {
                    sleep(pause.mul_f64(rand::random_range(0.5..1.0))).await;
                    pause = (pause * 2).min(PAUSES.1);
                }
            }
        }
    }

    async fn accept_once(&self, jobs: &[NewJob]) -> Result<BatchAccepted, LedgerError> {
        let done = self.receipts.take_done();
        // A panic in an adapter must not end the lane: every later submit would wait for ever.
        let call = AssertUnwindSafe(self.ledger.accept(jobs, self.process, &done)).catch_unwind();
        let result = match timeout(CALL_MAX, call).await {
            Ok(Ok(result)) => result,
            Ok(Err(_panic)) => Err(LedgerError::Corrupt("the ledger's adapter panicked".into())),
            Err(elapsed) => Err(LedgerError::Unavailable(elapsed.into())),
        };
        if result.is_err() {
            self.receipts.put_back(done);
        }
        result
    }

    /// Counts what was accepted and hands its tickets over.
    fn conclude(&self, jobs: &[NewJob], accepted: &BatchAccepted) -> Vec<Verdict> {
        let mut tickets = Vec::with_capacity(jobs.len());
        let mut verdicts = Vec::with_capacity(jobs.len());
        for (NewJob { job, .. }, accepted) in jobs.iter().zip(&accepted.jobs) {
            verdicts.push(match accepted {
                Accepted::New => {
                    let due = (job.run_at > job.created_at()).then_some(job.run_at);
                    let ticket = Ticket { id: job.id, kind: job.kind.clone(), priority: job.priority, due };
                    tickets.push((job.queue_ref(), ticket));
                    Ok(Admitted { id: job.id, replayed: false })
                }
                Accepted::Replayed(id) => Ok(Admitted { id: *id, replayed: true }),
                Accepted::KeyReused => Err(Rejection::KeyReused),
            });
        }
        self.accepted.count(tickets.iter().map(|(queue, ticket)| (&queue.queue, &ticket.kind)));
        if let Some(receipt) = accepted.receipt {
            let oldest = tickets.iter().map(|(_, ticket)| ticket.id.created_at()).min();
            let is_late = oldest.is_some_and(|oldest| self.mint.clock().now().since(oldest) > ID_AGE_MAX);
            self.tickets.hand_over(Handover { receipt, tickets, is_late });
        }
        verdicts
    }
}
