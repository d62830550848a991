//! What workers do when the store of pace does not answer: they go on with counts of their own.
//!
//! Waiting for the store would make it a part without which no third party can be called, although a job needs nothing of
//! it: a hint must not hold up work. Calling without any limit would send every slot of every worker to a destination that
//! hangs. So each process counts for itself until the store is back: n workers may then make n times as many calls.

use super::{Destination, Enter, Entry, Left, Pace, Permit, Result, Rules, Sight, Verdict};
use async_trait::async_trait;
use parking_lot::Mutex;
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, timeout};

/// How long a shared store may take to answer; a job's slot is held meanwhile.
const ANSWER_MAX: Duration = Duration::from_millis(500);
/// How long it is left alone after it did not.
const REST: Duration = Duration::from_secs(1);

/// A shared store, and one of this process for when it does not answer. Never fails to let a call enter or leave.
pub struct FallbackPace {
    shared: Arc<dyn Pace>,
    own: Arc<dyn Pace>,
    rests_until: Mutex<Option<Instant>>,
}

impl FallbackPace {
    /// Asks `shared`, and `own` when it does not answer.
    pub fn new(shared: Arc<dyn Pace>, own: Arc<dyn Pace>) -> Self {
        Self { shared, own, rests_until: Mutex::new(None) }
    }

    /// The shared store's answer, if it has one in time.
    async fn asked<T>(&self, answer: impl Future<Output = Result<T>>) -> Option<T> {
        if self.rests_until.lock().is_some_and(|until| Instant::now() < until) {
            return None;
        }
        let answer = timeout(ANSWER_MAX, answer).await.ok().and_then(Result::ok);
        *self.rests_until.lock() = answer.is_none().then(|| Instant::now() + REST);
        answer
    }
}

#[async_trait]
impl Pace for FallbackPace {
    async fn enter(&self, entry: &Entry<'_>) -> Result<Enter> {
        match self.asked(self.shared.enter(entry)).await {
            Some(answer) => Ok(answer),
            None => self.own.enter(entry).await,
        }
    }

    async fn extend(&self, permit: &Permit, rules: &Rules) -> Result<bool> {
        // Ids of permits are unlike: only the store that gave one knows it.
        if self.own.extend(permit, rules).await? {
            return Ok(true);
        }
        // Unknown: it may be held still.
        Ok(self.asked(self.shared.extend(permit, rules)).await.unwrap_or(true))
    }

    async fn leave(&self, permit: &Permit, verdict: Verdict, rules: &Rules) -> Result<Left> {
        match self.own.leave(permit, verdict, rules).await? {
            Left::NotHeld => {}
            left => return Ok(left),
        }
        Ok(self.asked(self.shared.leave(permit, verdict, rules)).await.unwrap_or(Left::NotHeld))
    }

    async fn list(&self, limit: usize) -> Result<Vec<Sight>> {
        self.shared.list(limit).await
    }

    async fn page(&self, after: Option<&Destination>, limit: usize) -> Result<Vec<Sight>> {
        self.shared.page(after, limit).await
    }

    async fn look(&self, destination: &Destination) -> Result<Option<Sight>> {
        self.shared.look(destination).await
    }

    async fn reset(&self, destination: &Destination) -> Result<bool> {
        self.own.reset(destination).await?;
        self.shared.reset(destination).await
    }
}
