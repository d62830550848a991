//! The wish that a running attempt ends, and the reason for it.

use std::sync::{Arc, OnceLock};
use tokio_util::sync::CancellationToken;

/// Why an attempt is to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    /// It took longer than it may.
    TimedOut,
    /// Another worker may hold its lease by now.
    LeaseLost,
    /// Its lease was lost while this whole process stood still: it must not even end by itself.
    Overslept,
    /// Its job has an outcome already.
    Settled,
    /// The worker shuts down.
    Draining,
}

/// Told once; the first reason stays.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stop {
    token: CancellationToken,
    why: Arc<OnceLock<Why>>,
}

impl Stop {
    pub(crate) fn tell(&self, why: Why) {
        // The reason is set before the token, so that whoever sees the token sees a reason.
        self.why.get_or_init(|| why);
        self.token.cancel();
    }
    pub(crate) fn told(&self) -> Option<Why> {
        self.why.get().copied()
    }
    pub(crate) fn token(&self) -> &CancellationToken {
        &self.token
    }
}
