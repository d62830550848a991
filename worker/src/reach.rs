//! Whether the ledger or the dispatch answers: said once when it changes, not once per call.

use crate::chance;
use std::{
    error::Error,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

/// What is known about reaching one of the two.
pub(crate) struct Reach {
    what: &'static str,
    down: AtomicBool,
}

impl Reach {
    pub(crate) fn new(what: &'static str) -> Self {
        Self { what, down: AtomicBool::new(false) }
    }

    /// A call failed.
    pub(crate) fn failed(&self, error: &(dyn Error + 'static)) {
        if !self.down.swap(true, Ordering::Relaxed) {
            let cause = error.source().map(ToString::to_string).unwrap_or_default();
            tracing::warn!(what = self.what, %error, cause, "the {} does not answer; trying again until it does", self.what);
        }
    }

    /// A call was answered.
    pub(crate) fn answered(&self) {
        if self.down.load(Ordering::Relaxed) && self.down.swap(false, Ordering::Relaxed) {
            tracing::info!(what = self.what, "the {} answers again", self.what);
        }
    }

    pub(crate) fn is_down(&self) -> bool {
        self.down.load(Ordering::Relaxed)
    }
}

/// Pauses between tries: doubling, with jitter, up to two seconds.
#[derive(Default)]
pub(crate) struct Backoff {
    tries: u32,
}

impl Backoff {
    const FIRST: Duration = Duration::from_millis(50);
    const LONGEST: Duration = Duration::from_secs(2);

    pub(crate) fn reset(&mut self) {
        self.tries = 0;
    }
    pub(crate) fn next(&mut self) -> Duration {
        let bound = Self::FIRST.saturating_mul(1 << self.tries.min(10)).min(Self::LONGEST);
        self.tries = self.tries.saturating_add(1);
        bound.mul_f64(0.5 + chance::share() / 2.0)
    }
    pub(crate) async fn pause(&mut self) {
        tokio::time::sleep(self.next()).await;
    }
}
