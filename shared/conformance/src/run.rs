//! Running a promise: on a runtime of its own, within a limit.

use futures::future::LocalBoxFuture;
use std::{fmt::Debug, time::Duration};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

/// How long one promise may take before it counts as broken: far more than any needs on a busy machine.
const LIMIT: Duration = Duration::from_secs(240);
/// How long a condition that must come true is waited for.
const CONDITION_LIMIT: Duration = Duration::from_secs(30);

/// One promise of a suite. It panics when it is broken.
pub struct Promise<Stage> {
    /// `module::name`, as in the tests of an adapter.
    pub name: &'static str,
    /// Checks it.
    pub check: fn(Stage) -> LocalBoxFuture<'static, ()>,
}

/// Runs a promise on a new multi-threaded runtime.
///
/// # Panics
/// When the promise is broken, or takes longer than four minutes.
pub fn run(promise: impl Future<Output = ()>) {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).enable_all().build().expect("a runtime starts");
    let in_time = runtime.block_on(async { timeout(LIMIT, promise).await });
    // What a failed promise left running must not hold the test up.
    runtime.shutdown_background();
    assert!(in_time.is_ok(), "the promise took longer than {LIMIT:?}");
}

/// Waits until `look` gives something.
///
/// # Panics
/// When that takes longer than half a minute.
pub async fn eventually<T>(what: impl Debug, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let ends_at = Instant::now() + CONDITION_LIMIT;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < ends_at, "{what:?} did not come true within {CONDITION_LIMIT:?}");
        sleep(Duration::from_millis(10)).await;
    }
}

/// Runs all of them at the same time, each on a task of its own; gives their answers in order.
///
/// # Panics
/// As soon as one of them panics; the others are aborted.
pub(crate) async fn at_once<T: Send + 'static>(
    tasks: impl IntoIterator<Item: Future<Output = T> + Send + 'static>,
) -> Vec<T> {
    let mut running = JoinSet::new();
    for (index, task) in tasks.into_iter().enumerate() {
        running.spawn(async move { (index, task.await) });
    }
    let mut answers = Vec::with_capacity(running.len());
    while let Some(ended) = running.join_next().await {
        match ended {
            Ok(answer) => answers.push(answer),
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
    answers.sort_by_key(|(index, _)| *index);
    answers.into_iter().map(|(_, answer)| answer).collect()
}
