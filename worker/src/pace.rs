//! How far to claim ahead of the slots: enough to hide the way to the dispatch and the ledger, and no more.
//!
//! With slow handlers nothing is claimed ahead, so that other workers may have it. With fast ones, as many jobs as end
//! within the time that a claim and a load take.

use std::time::Duration;
use tokio::time::Instant;

/// Jobs claimed ahead at most.
pub(crate) const AHEAD_MAX: usize = 2_000;
/// The time to bridge.
const BRIDGE: Duration = Duration::from_millis(50);
/// How long the measured rate remembers.
const MEMORY: Duration = Duration::from_millis(100);
const SAMPLE_MIN: Duration = Duration::from_millis(5);

/// The rate at which attempts end.
pub(crate) struct Pace {
    per_second: f64,
    ended: u64,
    at: Instant,
}

impl Pace {
    pub(crate) fn new(now: Instant) -> Self {
        Self { per_second: 0.0, ended: 0, at: now }
    }

    /// Takes over how many attempts have ended since the start, and says how many jobs to claim ahead.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an estimate between 0 and AHEAD_MAX"
    )]
    pub(crate) fn ahead(&mut self, ended: u64, now: Instant) -> usize {
        let past = now.duration_since(self.at);
        if past >= SAMPLE_MIN {
            let rate = ended.saturating_sub(self.ended) as f64 / past.as_secs_f64();
            let share = (past.as_secs_f64() / MEMORY.as_secs_f64()).min(1.0);
            self.per_second += (rate - self.per_second) * share;
            (self.ended, self.at) = (ended, now);
        }
        ((self.per_second * BRIDGE.as_secs_f64()) as usize).min(AHEAD_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_handlers_claim_nothing_ahead_and_fast_ones_do() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        let at = |ms| start + Duration::from_millis(ms);
        assert_eq!(pace.ahead(1, at(100)), 0);
        assert_eq!(pace.ahead(1_001, at(200)), 500);
        assert_eq!(pace.ahead(100_001, at(300)), AHEAD_MAX);
        assert_eq!(pace.ahead(100_001, at(400)), 0);
    }
}
