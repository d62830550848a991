//! Waiting for outcomes: one ledger statement per [`LOOK`] for all waiting clients together, none when nobody waits.

use crate::problem::{Problem, ProblemType};
use haul_core::{JobId, Ledger};
use parking_lot::Mutex;
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

/// How often outcomes are looked for.
const LOOK: Duration = Duration::from_millis(50);
/// The longest pause while the ledger is down.
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// How long one look may take.
const CALL_MAX: Duration = Duration::from_secs(5);
/// Jobs watched at a time: what one statement may ask for.
const JOBS_MAX: usize = 10_000;

/// Tells waiting clients when their job has ended.
pub(crate) struct Watch {
    jobs: Mutex<HashMap<JobId, Watched>>,
    somebody_waits: Notify,
    stop: CancellationToken,
}

struct Watched {
    clients: usize,
    ended: Arc<Notify>,
}

/// Takes the client off the list, however it stops waiting.
struct Waiting<'a> {
    watch: &'a Watch,
    job: JobId,
    ended: Arc<Notify>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut jobs = self.watch.jobs.lock();
        if let Some(watched) = jobs.get_mut(&self.job) {
            watched.clients -= 1;
            if watched.clients == 0 {
                jobs.remove(&self.job);
            }
        }
    }
}

impl Watch {
    /// Watches nothing yet. From `stop` on nobody waits any more.
    pub(crate) fn new(stop: CancellationToken) -> Self {
        Self { jobs: Mutex::default(), somebody_waits: Notify::new(), stop }
    }

    /// Returns when the job has ended, `at_most` has passed, or the process ends: the caller looks at the job again.
    pub(crate) async fn wait(&self, job: JobId, at_most: Duration) -> Result<(), Problem> {
        let waiting = self.enter(job)?;
        tokio::select! {
            () = waiting.ended.notified() => {}
            () = sleep(at_most) => {}
            () = self.stop.cancelled() => {}
        }
        Ok(())
    }

    fn enter(&self, job: JobId) -> Result<Waiting<'_>, Problem> {
        let mut jobs = self.jobs.lock();
        if jobs.len() >= JOBS_MAX && !jobs.contains_key(&job) {
            return Err(Problem::new(ProblemType::Overloaded, "as many jobs are waited for as may be"));
        }
        let watched = jobs.entry(job).or_insert_with(|| Watched { clients: 0, ended: Arc::new(Notify::new()) });
        watched.clients += 1;
        let waiting = Waiting { watch: self, job, ended: watched.ended.clone() };
        drop(jobs);
        self.somebody_waits.notify_one();
        Ok(waiting)
    }

    fn watched(&self) -> Vec<JobId> {
        self.jobs.lock().keys().copied().collect()
    }

    /// Looks for outcomes until the process ends.
    pub(crate) async fn run(&self, ledger: Arc<dyn Ledger>) {
        let mut pause = LOOK;
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = sleep(pause) => {}
            }
            let jobs = self.watched();
            if jobs.is_empty() {
                tokio::select! {
                    () = self.stop.cancelled() => return,
                    () = self.somebody_waits.notified() => {}
                }
                continue;
            }
            match timeout(CALL_MAX, ledger.settled(&jobs)).await {
                Ok(Ok(settled)) => {
                    pause = LOOK;
                    let jobs = self.jobs.lock();
                    for watched in settled.iter().filter_map(|(id, _)| jobs.get(id)) {
                        watched.ended.notify_waiters();
                    }
                }
                Ok(Err(error)) => {
                    pause = (pause * 2).min(PAUSE_MAX);
                    tracing::debug!(%error, "outcomes could not be looked for");
                }
                Err(_elapsed) => pause = (pause * 2).min(PAUSE_MAX),
            }
        }
    }
}
