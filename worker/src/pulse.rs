//! The pulse of this process: whether it has been running all along, or was stopped for a while.
//!
//! A process that is stopped (SIGSTOP, a moved virtual machine, a debugger) does not notice. When it goes on, another
//! worker may hold its leases, and its handlers would go on with their next effect. So they are not polled while the last
//! beat is too old to vouch for their leases: first the dispatch is asked about those that have run out, and the handlers
//! that lost theirs are dropped where they stand. The others go on as if nothing had happened.
//!
//! What a handler does between two of its awaits, or in a thread of its own, cannot be held up.

use crate::{claims::Claims, reach::Backoff, stop::Why};
use haul_core::{Dispatch, QueueRef, dispatch::Lease};
use parking_lot::Mutex;
use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

/// Beats per lease.
pub(crate) const BEATS: u32 = 8;
/// Leases in one call.
const CALL_MAX: usize = 1_000;

/// Beats while the process runs.
pub(crate) struct Pulse {
    began: Instant,
    beat_ms: AtomicU64,
    /// Leases are extended every third of their length: with a gap below half of it, none has run out unnoticed.
    gap_max: Duration,
    held_up: Mutex<Vec<Waker>>,
}

impl Pulse {
    pub(crate) fn new(lease: Duration) -> Self {
        Self { began: Instant::now(), beat_ms: AtomicU64::new(0), gap_max: lease / 2, held_up: Mutex::default() }
    }

    /// Polls the handler only while the pulse is regular.
    pub(crate) fn gate<F: Future + Unpin>(self: &Arc<Self>, handler: F) -> Gated<F> {
        Gated { pulse: self.clone(), handler }
    }

    /// What to tell a handler whose lease turns out to be lost now.
    pub(crate) fn why_lost(&self) -> Why {
        if self.gap().is_some() { Why::Overslept } else { Why::LeaseLost }
    }

    /// How long ago the last beat was, if that is too long.
    fn gap(&self) -> Option<Duration> {
        let last = Duration::from_millis(self.beat_ms.load(Ordering::Acquire));
        let gap = self.began.elapsed().saturating_sub(last);
        (gap > self.gap_max).then_some(gap)
    }

    pub(crate) fn beat(&self) {
        let now_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let held_up = {
            let mut held_up = self.held_up.lock();
            self.beat_ms.store(now_ms, Ordering::Release);
            std::mem::take(&mut *held_up)
        };
        held_up.into_iter().for_each(Waker::wake);
    }

    /// Keeps the waker until the next beat. `false` when that was just now.
    fn hold_up(&self, waker: &Waker) -> bool {
        let mut held_up = self.held_up.lock();
        if self.gap().is_none() {
            return false;
        }
        held_up.push(waker.clone());
        true
    }
}

/// A handler that is not polled while the pulse is irregular.
pub(crate) struct Gated<F> {
    pulse: Arc<Pulse>,
    handler: F,
}

impl<F: Future + Unpin> Future for Gated<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        if self.pulse.gap().is_some() && self.pulse.hold_up(cx.waker()) {
            return Poll::Pending;
        }
        Pin::new(&mut self.handler).poll(cx)
    }
}

/// Beats until it is aborted; after a gap, only when the leases that ran out meanwhile have been looked at.
pub(crate) async fn keep(pulse: Arc<Pulse>, dispatch: Arc<dyn Dispatch>, claims: Arc<Claims>, lease: Duration) {
    let mut beats = interval(lease / BEATS);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        beats.tick().await;
        if let Some(gap) = pulse.gap() {
            tracing::warn!(?gap, "this process was stopped or starved; its handlers wait for a look at their leases");
            for (queue, leases) in claims.run_out() {
                for leases in leases.chunks(CALL_MAX) {
                    look_at(&*dispatch, &claims, &queue, leases, lease).await;
                }
            }
        }
        pulse.beat();
    }
}

async fn look_at(dispatch: &dyn Dispatch, claims: &Claims, queue: &QueueRef, leases: &[Lease], length: Duration) {
    let asked = async {
        let mut backoff = Backoff::default();
        loop {
            let expires = Instant::now() + length;
            match dispatch.extend(queue, leases, length).await {
                Ok(held) => return (held, expires),
                Err(error) => tracing::debug!(%error, "leases could not be looked at"),
            }
            backoff.pause().await;
        }
    };
    // Without an answer nothing speaks for these leases. Their jobs come back when they expire, or by repair.
    let answer = timeout(length, asked).await;
    let (held, expires) = answer.unwrap_or_else(|_| (vec![false; leases.len()], Instant::now()));
    let lost = claims.extended(leases, &held, expires, Why::Overslept);
    if lost > 0 {
        tracing::warn!(%queue, leases = lost, "leases were lost meanwhile; their handlers are dropped");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::{FutureExt, future};

    #[tokio::test(start_paused = true)]
    async fn a_handler_is_not_polled_between_a_gap_and_the_next_beat() {
        let pulse = Arc::new(Pulse::new(Duration::from_secs(10)));
        let mut polls = 0;
        let mut gated = pulse.gate(future::poll_fn(|_| {
            polls += 1;
            if polls < 3 { Poll::Pending } else { Poll::Ready(polls) }
        }));
        assert_eq!((&mut gated).now_or_never(), None, "its first poll");
        tokio::time::advance(Duration::from_secs(6)).await;
        assert_eq!((&mut gated).now_or_never(), None, "held up, not polled");
        pulse.beat();
        assert_eq!((&mut gated).now_or_never(), None, "its second poll");
        assert_eq!((&mut gated).now_or_never(), Some(3));
    }

    #[tokio::test(start_paused = true)]
    async fn a_beat_wakes_whom_the_gap_held_up() {
        let pulse = Arc::new(Pulse::new(Duration::from_secs(10)));
        tokio::time::advance(Duration::from_secs(6)).await;
        let held_up = tokio::spawn(pulse.gate(future::ready(7)));
        tokio::task::yield_now().await;
        assert!(!held_up.is_finished());
        pulse.beat();
        assert_eq!(held_up.await.unwrap(), 7);
    }
}
