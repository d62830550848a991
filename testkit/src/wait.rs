//! Waiting for what comes true.

use std::{future::Future, time::Duration};
use tokio::time::{Instant, sleep};

/// How soon a look is repeated.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Waits until `look` sees what it waits for.
///
/// # Panics
/// When it has not within `limit`: a test has failed then, and says `what` did not come true.
pub async fn until<T, F: Future<Output = Option<T>>>(what: &str, limit: Duration, mut look: impl FnMut() -> F) -> T {
    let end = Instant::now() + limit;
    loop {
        if let Some(seen) = look().await {
            return seen;
        }
        assert!(Instant::now() < end, "not within {limit:?}: {what}");
        sleep(LOOK_EVERY).await;
    }
}
