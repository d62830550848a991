//! Reaching a store that may not be there yet.
//!
//! A store that cannot be reached is asked again, with growing pauses, for as long as the process is wanted; one that
//! refuses us for good (a wrong version, a setting that would lose jobs) ends the attempt at once. Each refusal is one
//! log line with its cause. A URL is never part of it.

use crate::chain::chain;
use backon::{BackoffBuilder, ExponentialBuilder};
use haul_core::{Readiness, dispatch::DispatchError, ledger::LedgerError};
use std::{error::Error, time::Duration};
use tokio::time::{sleep, timeout};

const PAUSE_MIN: Duration = Duration::from_millis(250);
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// The longest that one attempt to connect may take.
pub(crate) const CONNECT_MAX: Duration = Duration::from_secs(20);

/// An error that says whether waiting may mend it.
pub(crate) trait MayPass: Error + Send + Sync + 'static {
    fn may_pass(&self) -> bool;
}

impl MayPass for LedgerError {
    fn may_pass(&self) -> bool {
        self.is_transient()
    }
}

impl MayPass for DispatchError {
    fn may_pass(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

/// A store to be reached.
#[derive(Clone, Copy)]
pub(crate) struct Target<'a> {
    /// Its name in the log.
    pub(crate) store: &'a str,
    /// Its check in readiness.
    pub(crate) check: &'static str,
    pub(crate) readiness: &'a Readiness,
}

/// Calls `attempt` until it succeeds or fails for good, for at most `attempt_max` each time.
pub(crate) async fn until_reached<T, E: MayPass, F>(
    target: Target<'_>,
    attempt_max: Duration,
    mut attempt: impl FnMut() -> F,
) -> Result<T, E>
where
    F: Future<Output = Result<T, E>>,
{
    let Target { store, check, readiness } = target;
    readiness.set_unready(check, "not reached yet");
    let pauses = ExponentialBuilder::new().with_min_delay(PAUSE_MIN).with_max_delay(PAUSE_MAX).with_jitter();
    let mut pauses = pauses.without_max_times().build();
    let mut refused = false;
    loop {
        let why = match timeout(attempt_max, attempt()).await {
            Ok(Ok(reached)) => {
                if refused {
                    tracing::info!("{store} is reached");
                }
                readiness.set_ready(check);
                return Ok(reached);
            }
            Ok(Err(error)) if !error.may_pass() => return Err(error),
            Ok(Err(error)) => chain(&error),
            Err(_) => format!("no answer within {} s", attempt_max.as_secs()),
        };
        refused = true;
        let pause = pauses.next().unwrap_or(PAUSE_MAX);
        tracing::warn!(retry_in_ms = pause.as_millis(), "waiting for {store}: {why}");
        sleep(pause).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::{pending, ready};

    fn target(readiness: &Readiness) -> Target<'_> {
        Target { store: "Postgres", check: "ledger", readiness }
    }

    fn away() -> LedgerError {
        LedgerError::Unavailable("connection refused".into())
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_is_away_is_asked_again_until_it_is_there() {
        let readiness = Readiness::new();
        let mut calls = 0;
        let reached = until_reached(target(&readiness), CONNECT_MAX, || {
            assert!(!readiness.is_ready());
            calls += 1;
            ready(if calls < 20 { Err(away()) } else { Ok(calls) })
        });
        assert_eq!(reached.await.unwrap(), 20);
        assert!(readiness.is_ready());
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_never_comes_is_given_up_and_asked_for_again() {
        let readiness = Readiness::new();
        let mut calls = 0;
        let reached = until_reached(target(&readiness), CONNECT_MAX, || {
            calls += 1;
            let call = calls;
            async move {
                if call == 1 {
                    pending::<()>().await;
                }
                Ok::<_, LedgerError>(call)
            }
        });
        assert_eq!(reached.await.unwrap(), 2);
    }

    #[tokio::test]
    async fn a_store_that_refuses_for_good_is_not_asked_again() {
        let refusal = || DispatchError::Misconfigured("set maxmemory-policy to noeviction".to_owned());
        let readiness = Readiness::new();
        let answer = until_reached(target(&readiness), CONNECT_MAX, || ready(Err::<(), _>(refusal()))).await;
        assert!(answer.unwrap_err().to_string().contains("noeviction"));
        assert!(!readiness.is_ready());
    }
}
