//! Repair: brings the dispatch back in line with the ledger.
//!
//! One reconciler for every way of losing tickets: a restart of the embedded platform, a Redis that was flushed,
//! replaced, rolled back or failed over, an accepting process that died between its commit and its enqueue, and jobs
//! that users' own transactions accepted. It runs on an event *and* periodically, by the same code, in every worker;
//! any number of them is harmless.
//!
//! It only ever adds tickets, which are hints: what it does twice costs a read. It never writes an outcome.

mod audit;
mod rebuild;
mod receipts;
mod second_look;
mod settings;
mod tickets;

pub use audit::Auditor;

use futures::StreamExt;
use haul_core::{
    Dispatch, Ledger, ProcessId, Span, config::RepairConfig, dispatch::DispatchError, ledger::LedgerError,
};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::Notify,
    time::{Instant, MissedTickBehavior, interval, timeout},
};
use tokio_util::sync::CancellationToken;

/// How often minutes in which everything is settled are closed.
const CLOSE_EVERY: Duration = Duration::from_secs(30);
/// The longest that one pass over receipts, or one step of a rebuild, may take before it is given up and begun anew.
const STEP_MAX: Duration = Duration::from_secs(60);

/// What a pass failed with. Every kind is answered the same way: log, and try again at the next interval.
#[derive(Debug, thiserror::Error)]
pub enum RepairError {
    /// The ledger did not answer.
    #[error("repair could not use the ledger")]
    Ledger(#[from] LedgerError),
    /// The dispatch did not answer.
    #[error("repair could not use the dispatch")]
    Dispatch(#[from] DispatchError),
    /// Neither answered in time.
    #[error("repair had no answer within {}", Span::from_secs(STEP_MAX.as_secs()))]
    TimedOut,
}

/// The reconciler.
pub struct Repairer {
    process: ProcessId,
    ledger: Arc<dyn Ledger>,
    dispatch: Arc<dyn Dispatch>,
    interval: Duration,
    grace: Duration,
    signal: Arc<Notify>,
    receipts: receipts::Receipts,
    rebuild: rebuild::Rebuild,
    settings: settings::Settings,
}

impl Repairer {
    /// A reconciler between the two, in `process`, which tells the ledger that it is alive. `signal` asks for a pass before the next interval: workers notify it when a claim
    /// says that its queue is lost.
    pub fn new(
        process: ProcessId,
        ledger: Arc<dyn Ledger>,
        dispatch: Arc<dyn Dispatch>,
        config: &RepairConfig,
        signal: Arc<Notify>,
    ) -> Self {
        Self {
            process,
            ledger,
            dispatch,
            interval: config.interval.as_duration().max(Duration::from_millis(10)),
            grace: config.grace.as_duration(),
            signal,
            receipts: receipts::Receipts::default(),
            rebuild: rebuild::Rebuild::new(process),
            settings: settings::Settings::default(),
        }
    }

    /// Repairs until `shutdown`. Failures are logged when they begin and when they end, and tried again.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let mut events = self.ledger.events();
        let mut ticks = interval(self.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut close_at = Instant::now() + CLOSE_EVERY;
        let mut failing = false;
        loop {
            let event = async {
                // A stream that ended has nothing more to say: the interval goes on alone.
                if events.next().await.is_none() {
                    std::future::pending::<()>().await;
                }
            };
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                _ = ticks.tick() => {}
                () = self.signal.notified() => {}
                () = event => {}
            }
            let pass = tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                pass = self.pass() => pass,
            };
            match pass {
                Ok(()) if failing => {
                    failing = false;
                    tracing::info!("repair works again");
                }
                Ok(()) => {}
                Err(error) if !failing => {
                    failing = true;
                    tracing::warn!(error = &error as &dyn std::error::Error, "repair fails and will be tried again");
                }
                Err(error) => tracing::debug!(error = &error as &dyn std::error::Error, "repair still fails"),
            }
            if Instant::now() >= close_at {
                close_at = Instant::now() + CLOSE_EVERY;
                self.close_minutes().await;
            }
        }
    }

    /// One pass: everything that needs repair now. A failure in one part does not keep the other from its turn.
    pub async fn pass(&mut self) -> Result<(), RepairError> {
        // Receipts first: an event says that a job was just committed, and its submitter waits for it to start.
        let swept = self.receipts.sweep(self.process, &*self.ledger, &*self.dispatch).await;
        let rebuilt = self.rebuild.pass(&*self.ledger, &*self.dispatch, self.grace).await;
        let told = in_time(self.settings.tell(&*self.ledger, &*self.dispatch)).await;
        swept.and(rebuilt).and(told)
    }

    async fn close_minutes(&self) {
        match timeout(STEP_MAX, self.ledger.close_minutes()).await {
            Ok(Ok(0)) => {}
            Ok(Ok(minutes)) => tracing::debug!(minutes, "closed minutes in which everything is settled"),
            Ok(Err(error)) => {
                tracing::debug!(error = &error as &dyn std::error::Error, "minutes could not be closed");
            }
            Err(_) => tracing::debug!("closing minutes took too long"),
        }
    }
}

/// Bounds a step that may hang with its store.
async fn in_time<T>(step: impl Future<Output = Result<T, RepairError>>) -> Result<T, RepairError> {
    timeout(STEP_MAX, step).await.unwrap_or(Err(RepairError::TimedOut))
}
