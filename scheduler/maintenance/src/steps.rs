//! A run's steps: how long they may go on, and what the end of one means.

use haul_core::{Span, ledger::LedgerError, maintenance::Progress};
use haul_worker::{HandlerError, JobContext};
use std::time::Duration;
use tokio::time::Instant;

/// How long a run begins new steps, unless its payload says otherwise: less than the timeout that jobs have by default.
const FOR_AT_MOST: Span = Span::from_secs(240);

/// A run between two steps.
pub(crate) struct Steps {
    job: JobContext,
    began: Instant,
    limit: Duration,
}

impl Steps {
    pub(crate) fn new(job: JobContext, for_at_most: Option<Span>) -> Self {
        Self { job, began: Instant::now(), limit: for_at_most.unwrap_or(FOR_AT_MOST).as_duration() }
    }

    pub(crate) fn limit(&self) -> Duration {
        self.limit
    }

    /// Whether there is time for another step.
    pub(crate) fn may_go_on(&self) -> Result<bool, HandlerError> {
        if self.job.is_cancelled() {
            return Err(HandlerError::retry("it was told to stop between two steps"));
        }
        Ok(self.began.elapsed() < self.limit)
    }

    pub(crate) fn took_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Takes steps until none is left or time is up: how much was done, and whether all of it was.
    pub(crate) async fn all<F>(&self, mut step: impl FnMut() -> F) -> Result<(u64, bool), HandlerError>
    where
        F: Future<Output = Result<Progress, LedgerError>>,
    {
        let mut done = 0;
        loop {
            let progress = step().await.map_err(refused_or_away)?;
            done += progress.done;
            if !progress.more {
                return Ok((done, true));
            }
            if !self.may_go_on()? {
                return Ok((done, false));
            }
        }
    }
}

/// A ledger that is away is asked again; one that refuses would refuse again.
pub(crate) fn refused_or_away(error: LedgerError) -> HandlerError {
    if error.is_transient() { HandlerError::retry(error) } else { HandlerError::do_not_retry(error) }
}
