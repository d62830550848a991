//! The processes of this worker's suspects.
//!
//! A process whose suspect ended in an orderly way runs the next one: starting a process takes a thousand times as long as
//! most handlers do, and nearly all suspects are innocent neighbours of whatever ended their worker. But a death counts
//! only in a process that has run nothing else: one that was used before may have died of what an earlier handler left
//! behind, and the job tries again in a new one.
//!
//! A process that does not come up is nobody's crash: it says something about the program. After three of them in a row
//! this worker gives up on processes and says so, because a job that was accepted must end.

use super::{
    Isolation,
    process::{Death, Process},
    wire::Report,
};
use parking_lot::Mutex;
use std::{
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    time::Duration,
};
use tokio::time::{Instant, timeout};

/// How long a process may take until it is ready for orders.
const HERE_MAX: Duration = Duration::from_secs(30);
/// How long a process without work is kept.
const IDLE_MAX: Duration = Duration::from_secs(5);
/// So many processes that do not come up, one after the other, are enough.
const FAILURES_MAX: u32 = 3;

/// Processes that wait for work, and whether there is any use in starting more.
pub(super) struct Pool {
    isolation: Isolation,
    idle: Mutex<Vec<(Instant, Process)>>,
    failures: AtomicU32,
    is_given_up: AtomicBool,
}

impl Pool {
    pub(super) fn new(isolation: Isolation) -> Self {
        Self { isolation, idle: Mutex::default(), failures: AtomicU32::new(0), is_given_up: AtomicBool::new(false) }
    }

    /// Whether suspects are to run like other jobs.
    pub(super) fn is_given_up(&self) -> bool {
        self.is_given_up.load(Ordering::Relaxed)
    }

    /// A process that is ready for orders; a new one for a job that has crashed before. `None` when it did not come up.
    pub(super) async fn get(&self, wants_new: bool) -> Option<Process> {
        // The one that was used last: the others may become old enough to go.
        if !wants_new && let Some((_, process)) = self.idle.lock().pop() {
            return Some(process);
        }
        match self.start().await {
            Ok(process) => Some(process),
            Err(why) => {
                self.failed(&why);
                None
            }
        }
    }

    async fn start(&self) -> Result<Process, String> {
        let mut process =
            Process::start((self.isolation.command)()).map_err(|error| format!("it could not be started: {error}"))?;
        match timeout(HERE_MAX, process.report()).await {
            Ok(Ok((Report::Here, _))) => Ok(process),
            Ok(Ok(_)) => Err("it said something else than that it is ready".to_owned()),
            Err(_) => Err(format!("it was not ready within {} s", HERE_MAX.as_secs())),
            Ok(Err(_)) => Err(match process.death().await {
                Ok(Death::Ended(status)) => format!("it ended before it was ready: {status}"),
                Ok(Death::CutOff) => "it closed its standard input, or is another program".to_owned(),
                Err(error) => format!("it was lost before it was ready: {error}"),
            }),
        }
    }

    /// Takes a process back whose suspect has ended.
    pub(super) fn put_back(&self, process: Process) {
        self.idle.lock().push((Instant::now(), process));
    }

    /// Ends processes that had nothing to do for a while. Says whether there are others.
    pub(super) fn end_idle(&self) -> bool {
        let now = Instant::now();
        let mut idle = self.idle.lock();
        idle.retain(|(since, _)| now.duration_since(*since) < IDLE_MAX);
        !idle.is_empty()
    }

    /// Notes that a handler has begun: processes are of use.
    pub(super) fn begun(&self) {
        self.failures.store(0, Ordering::Relaxed);
    }

    /// Counts a process that did not come up, or could not begin.
    pub(super) fn failed(&self, why: &str) {
        let failures = self.failures.fetch_add(1, Ordering::Relaxed) + 1;
        if failures < FAILURES_MAX {
            tracing::warn!(failures, "a suspect could not be given a process of its own: {why}");
        } else if !self.is_given_up.swap(true, Ordering::Relaxed) {
            tracing::error!(
                "no suspect could be given a process of its own {FAILURES_MAX} times in a row ({why}); from now on \
                 suspects run in this process like other jobs, and one that crashes it will do so again and again. The \
                 program must come to its worker when it is started again with the same arguments"
            );
        }
    }
}
