//! Upkeep: what every process that uses a ledger does beside its work.
//!
//! It follows the ledger's clock, tells that the process is alive, and has storage prepared for the days ahead. Each
//! duty is bounded in time and goes on after a failure; a failure is logged when it begins and when it ends, not each
//! time. Upkeep never stops a process: work that needs the ledger finds out by itself.

use crate::chain::chain;
use haul_core::{Clock, Fleet, Ledger, Readiness, fleet::Report, ledger::LedgerError};
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

/// How often the process's clock is set by the ledger's. Also what readiness goes by.
const CLOCK_EVERY: Duration = Duration::from_secs(10);
/// How often the process tells that it is alive; after 15 s of silence its receipts are taken over.
const HEARTBEAT_EVERY: Duration = Duration::from_secs(5);
/// How often storage is prepared.
const PREPARE_EVERY: Duration = Duration::from_secs(24 * 3_600);
/// How soon a duty that failed is tried again, where its own turn comes later.
const RETRY_EVERY: Duration = Duration::from_secs(5);
/// The longest that one call may take.
const CALL_MAX: Duration = Duration::from_secs(5);
/// The longest that preparing storage may take.
const PREPARE_MAX: Duration = Duration::from_secs(120);

/// The duties of one process.
pub struct Upkeep {
    ledger: Arc<dyn Ledger>,
    clock: Arc<Clock>,
    fleet: Arc<dyn Fleet>,
    report: Tell,
    readiness: Readiness,
}

/// What the process tells about itself, by now.
pub type Tell = Arc<dyn Fn() -> Report + Send + Sync>;

impl Upkeep {
    /// Upkeep of the process that `report` is of. Its check in `readiness` is `ledger`.
    pub fn new(
        ledger: Arc<dyn Ledger>,
        fleet: Arc<dyn Fleet>,
        clock: Arc<Clock>,
        report: Tell,
        readiness: Readiness,
    ) -> Self {
        Self { ledger, clock, fleet, report, readiness }
    }

    /// Does the duties until `shutdown`.
    pub async fn run(self, shutdown: CancellationToken) {
        let ledger = &*self.ledger;
        let clock = || async {
            match sync_clock(ledger, &self.clock).await {
                Ok(()) => {
                    self.readiness.set_ready("ledger");
                    Ok(())
                }
                Err(error) => {
                    self.readiness.set_unready("ledger", "does not answer");
                    Err(error)
                }
            }
        };
        let heartbeat = || async {
            let report = (self.report)();
            in_time(CALL_MAX, self.fleet.report(&report)).await
        };
        let prepare = || in_time(PREPARE_MAX, ledger.prepare_ahead());
        let duties = async {
            tokio::join!(
                every(CLOCK_EVERY, "the ledger's clock is not followed", clock),
                every(HEARTBEAT_EVERY, "the ledger takes no heartbeats", heartbeat),
                every(PREPARE_EVERY, "the ledger's storage is not prepared for the days ahead", prepare),
            )
        };
        tokio::select! {
            _ = duties => {}
            () = shutdown.cancelled() => {}
        }
    }
}

/// Why a duty was not done.
#[derive(Debug, thiserror::Error)]
pub enum DutyError {
    /// The ledger failed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// It did not answer in this time.
    #[error("no answer within {} s", .0.as_secs())]
    TimedOut(Duration),
}

/// Sets the clock by the ledger's, once.
pub(crate) async fn sync_clock(ledger: &dyn Ledger, clock: &Clock) -> Result<(), DutyError> {
    let asked_at = Instant::now();
    let now = in_time(CALL_MAX, ledger.now()).await?;
    clock.sync(now, asked_at.elapsed());
    Ok(())
}

async fn in_time<T>(limit: Duration, call: impl Future<Output = Result<T, LedgerError>>) -> Result<T, DutyError> {
    match timeout(limit, call).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(DutyError::TimedOut(limit)),
    }
}

/// Does a duty at once and then each `period`; sooner after a failure. Never ends.
async fn every<F>(period: Duration, failing: &str, mut duty: impl FnMut() -> F)
where
    F: Future<Output = Result<(), DutyError>>,
{
    let mut fails = false;
    loop {
        let pause = match duty().await {
            Ok(()) => {
                if std::mem::take(&mut fails) {
                    tracing::info!("no longer: {failing}");
                }
                period
            }
            Err(error) => {
                if !std::mem::replace(&mut fails, true) {
                    tracing::warn!("{failing}: {}", chain(&error));
                }
                period.min(RETRY_EVERY)
            }
        };
        sleep(pause).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::ready;

    #[tokio::test(start_paused = true)]
    async fn a_failing_daily_duty_is_tried_again_within_seconds() {
        let begun = Instant::now();
        let mut times = Vec::new();
        let duty = || {
            times.push(begun.elapsed().as_secs());
            ready(if times.len() < 3 { Err(DutyError::TimedOut(CALL_MAX)) } else { Ok(()) })
        };
        let day = Duration::from_secs(24 * 3_600);
        assert!(timeout(2 * day, every(day, "it is not done", duty)).await.is_err());
        assert_eq!(times, [0, 5, 10, 10 + 24 * 3_600]);
    }
}
