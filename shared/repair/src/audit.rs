//! The auditor: finds, and heals, what ledger and dispatch disagree about.
//!
//! Repair acts on what it knows to have happened (a lost queue, a receipt left behind). The auditor assumes nothing: it
//! reads all unsettled jobs and all tickets and compares. What it finds should not exist, so that each finding is worth
//! somebody's look; every one is true, because what is missed once is looked for again, until it had every chance to
//! show ([`doubts`]).
//!
//! It runs in every process that repairs, at a low rate, one process at a time, and on demand. Its memory is bounded: ids
//! are compared a stretch at a time ([`stretch`]). It never writes an outcome, and heals by hints only.

mod compare;
mod doubts;
mod stretch;

use async_trait::async_trait;
use compare::Comparison;
use futures::future::BoxFuture;
use haul_core::{
    Dispatch, Ledger,
    audit::{Audit, AuditError, AuditReport},
    config::RepairConfig,
    dispatch::Chore,
    telemetry,
};
use std::{
    hash::{BuildHasher, Hasher, RandomState},
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::Mutex,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

/// How long one audit of the continuous kind may take: it goes at a walking pace.
const CONTINUOUS_MAX: Duration = Duration::from_secs(3_600);
/// Ids that are held at a time, unless told otherwise.
const IDS_MAX: usize = 1_000_000;
/// How long the last steps of an audit whose time is up may take, before its stores count as hanging.
const LAST_STEPS_MAX: Duration = Duration::from_secs(20);

/// How fast an audit reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    /// As fast as it can: somebody waits.
    Run,
    /// Pausing after each page for as long as it took.
    Walk,
}

impl Pace {
    /// A pause after a page that was asked for at `begun`.
    async fn pause(self, begun: Instant) {
        if self == Self::Walk {
            sleep(begun.elapsed().min(Duration::from_secs(1))).await;
        }
    }
}

/// Compares ledger and dispatch.
pub struct Auditor {
    ledger: Arc<dyn Ledger>,
    dispatch: Arc<dyn Dispatch>,
    interval: Duration,
    ids_max: usize,
    under_way: Mutex<()>,
}

impl Auditor {
    /// An auditor between the two.
    pub fn new(ledger: Arc<dyn Ledger>, dispatch: Arc<dyn Dispatch>, config: &RepairConfig) -> Self {
        let interval = config.audit_interval.as_duration();
        Self { ledger, dispatch, interval, ids_max: IDS_MAX, under_way: Mutex::default() }
    }

    /// Holds so many ids at a time, not a million: less memory, more scans.
    #[must_use]
    pub fn with_ids_max(self, ids_max: usize) -> Self {
        Self { ids_max: ids_max.max(1), ..self }
    }

    /// Audits until `shutdown`, each interval, when no other process has just done it. Failures are logged when they begin
    /// and when they end.
    pub async fn run(self: Arc<Self>, shutdown: CancellationToken) {
        if self.interval.is_zero() {
            return shutdown.cancelled().await;
        }
        // Processes that were started together do not come together.
        let mut pause = self.interval.mul_f64(random_share());
        let mut failing = false;
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = sleep(pause) => pause = self.interval,
            }
            let audited = tokio::select! {
                () = shutdown.cancelled() => return,
                audited = self.in_turn() => audited,
            };
            match audited {
                Ok(()) if failing => {
                    failing = false;
                    tracing::info!("audits work again");
                }
                Ok(()) => {}
                Err(error) if !failing => {
                    failing = true;
                    tracing::warn!(error = &error as &dyn std::error::Error, "an audit failed and will be tried again");
                }
                Err(error) => tracing::debug!(error = &error as &dyn std::error::Error, "audits still fail"),
            }
        }
    }

    /// An audit at a walking pace, unless another process had its turn within this interval.
    async fn in_turn(&self) -> Result<(), AuditError> {
        // A little less than the interval: the next turn of the one that has it is not to be missed by a moment.
        if self.dispatch.turn(Chore::Audit, self.interval.mul_f64(0.9)).await? {
            self.once(Pace::Walk, CONTINUOUS_MAX).await?;
        }
        Ok(())
    }

    async fn once(&self, pace: Pace, within: Duration) -> Result<AuditReport, AuditError> {
        let Ok(_alone) = self.under_way.try_lock() else { return Err(AuditError::UnderWay) };
        let begun = Instant::now();
        let comparison = Comparison::new(&*self.ledger, &*self.dispatch, pace, begun + within, self.ids_max);
        // Boxed, because it is large and seldom.
        let comparing: BoxFuture<'_, _> = Box::pin(comparison.run());
        let report = timeout(within + LAST_STEPS_MAX, comparing).await.map_err(|_| AuditError::TimedOut)??;
        tell(&report);
        Ok(report)
    }
}

#[async_trait]
impl Audit for Auditor {
    async fn audit(&self, within: Duration) -> Result<AuditReport, AuditError> {
        self.once(Pace::Run, within).await
    }
}

/// Metrics, and a line for each queue in which something was found.
fn tell(report: &AuditReport) {
    let jobs = report.queues.iter().map(|queue| queue.jobs).sum();
    metrics::counter!(telemetry::AUDIT_JOBS_TOTAL).increment(jobs);
    if report.complete {
        let end_ms = report.begun_at.plus(report.took).as_ms();
        metrics::gauge!(telemetry::AUDIT_LAST_TIMESTAMP_SECONDS).set(end_ms as f64 / 1_000.0);
        metrics::gauge!(telemetry::AUDIT_LAST_SECONDS).set(report.took.as_secs_f64());
    }
    for queue in &report.queues {
        for (finding, found) in queue.findings() {
            // Also when there is none: a counter that is there from the beginning can be watched.
            metrics::counter!(telemetry::AUDIT_FINDINGS_TOTAL, "finding" => finding).increment(found.count);
            if let Some(example) = found.examples.first() {
                let (queue, count) = (&queue.queue, found.count);
                tracing::warn!(%queue, finding, count, job_id = %example, "the audit found jobs that ledger and dispatch disagree about");
            }
        }
    }
}

/// From 0 to 1.
fn random_share() -> f64 {
    f64::from(RandomState::new().build_hasher().finish() as u32) / f64::from(u32::MAX)
}
