//! The dispatch in this process's memory.
//!
//! Promise: everything that [`Dispatch`] says, at well under a microsecond per ticket and operation, however much waits;
//! 16 bytes for a ready ticket, some 50 for a delayed one. Nothing polls and nothing runs in the background.
//!
//! It does not survive the process: at a start every queue is [`QueueState::Lost`](haul_core::dispatch::QueueState::Lost)
//! until the repairer has rebuilt it from the ledger. Two processes with one ledger and a memory dispatch each would run
//! everything twice: whoever opens this one holds the ledger's exclusive lock.
//!
//! Two clocks. Due times belong to the ledger and are compared with the [`Clock`]. Leases, rebuild rights and waits are
//! durations, measured by [`tokio::time::Instant`], which neither a corrected machine clock nor a leap moves. Under
//! tokio's paused clock the second one is simulated by itself; a simulation that uses due times moves the [`Clock`] along
//! with it ([`Clock::sync`]).

mod fifo;
mod line;
mod queue;
mod running;
mod scan;
mod timed;
mod wake;

use async_trait::async_trait;
use haul_core::{
    Clock, Dispatch, JobId, Kind, ProcessId, QueueRef, QueueSettings,
    dispatch::{
        Claim, ClaimRequest, DispatchError, Lease, QueueState, QueueStats, RebuildToken, Result, ScanCursor, ScanPage,
        Settlement, Ticket,
    },
};
use line::Now;
use parking_lot::{Mutex, RwLock};
use queue::Queue;
use running::Running;
use std::{
    collections::{HashMap, HashSet},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};
use tokio::time::Instant;
use wake::Mailboxes;

/// A dispatch in memory; one lock per queue. Never fails, but for a scan that was begun elsewhere.
#[derive(Debug)]
pub struct MemoryDispatch {
    clock: Arc<Clock>,
    queues: RwLock<HashMap<QueueRef, Arc<Mutex<Queue>>>>,
    mailboxes: Mailboxes,
    running: Option<Running>,
}

impl MemoryDispatch {
    /// An empty dispatch: every queue is lost until it was rebuilt. `clock` is the ledger's.
    pub fn new(clock: Arc<Clock>) -> Self {
        Self { clock, queues: RwLock::default(), mailboxes: Mailboxes::default(), running: None }
    }

    /// The same, with a file that tells the next process which jobs are leased here. Jobs that were leased when the process
    /// before this one died are suspects, as their leases have expired with it. The ledger's lock covers the file.
    pub fn with_running_file(clock: Arc<Clock>, path: PathBuf) -> Self {
        Self { running: Some(Running::open(path)), ..Self::new(clock) }
    }

    /// Which of these tickets come back from a process that died.
    fn suspects(&self, tickets: &[Ticket]) -> HashSet<JobId> {
        self.running.as_ref().map(|running| running.suspects(tickets)).unwrap_or_default()
    }

    /// Drops everything, as a restart would: every queue is lost until it is rebuilt. For whoever lost the ledger's lock
    /// for a while: others may have worked on its jobs.
    pub fn lose(&self) {
        let mut queues: Vec<_> = self.queues.read().iter().map(|(name, queue)| (name.clone(), queue.clone())).collect();
        queues.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        for (_, queue) in queues {
            // Dropped after the lock.
            let _lost = queue.lock().lose();
        }
    }

    fn now(&self) -> Now {
        Now { ledger: self.clock.now(), here: Instant::now() }
    }

    fn known(&self, queue: &QueueRef) -> Option<Arc<Mutex<Queue>>> {
        self.queues.read().get(queue).cloned()
    }

    fn queue(&self, queue: &QueueRef) -> Arc<Mutex<Queue>> {
        if let Some(known) = self.known(queue) {
            return known;
        }
        let mut queues = self.queues.write();
        queues.entry(queue.clone()).or_insert_with(|| Arc::new(Mutex::new(Queue::new(queue.clone())))).clone()
    }
}

#[async_trait]
impl Dispatch for MemoryDispatch {
    async fn enqueue(&self, queue: &QueueRef, tickets: &[Ticket]) -> Result<()> {
        let (known, suspects) = (self.queue(queue), self.suspects(tickets));
        let state = {
            let mut known = known.lock();
            known.enqueue(tickets, &suspects, self.now());
            known.state()
        };
        if state == QueueState::Lost {
            // It may be new: nobody is registered with it yet, and somebody has to rebuild it.
            self.mailboxes.wake_all(queue);
        }
        Ok(())
    }

    async fn claim(&self, request: &ClaimRequest<'_>) -> Result<Claim> {
        let mailbox = self.mailboxes.of(request.worker);
        let claim = self.queue(request.queue).lock().claim(request, &mailbox, self.now());
        if let Some(running) = &self.running {
            running.claimed(&claim.tickets, request.token);
        }
        Ok(claim)
    }

    async fn extend(&self, queue: &QueueRef, leases: &[Lease], lease: Duration) -> Result<Vec<bool>> {
        Ok(self.queue(queue).lock().extend(leases, self.now().until(lease)))
    }

    async fn settle(&self, queue: &QueueRef, settlements: &[Settlement]) -> Result<()> {
        self.queue(queue).lock().settle(settlements, self.now());
        if let Some(running) = &self.running {
            running.settled(settlements);
        }
        Ok(())
    }

    async fn remove(&self, queue: &QueueRef, tickets: &[(Kind, JobId)]) -> Result<()> {
        if let Some(queue) = self.known(queue) {
            queue.lock().remove(tickets);
        }
        Ok(())
    }

    async fn configure(&self, queue: &QueueRef, settings: &QueueSettings) -> Result<()> {
        self.queue(queue).lock().configure(settings);
        Ok(())
    }

    async fn stats(&self, queue: &QueueRef, kinds: &[Kind]) -> Result<QueueStats> {
        Ok(self.known(queue).map(|queue| queue.lock().stats(kinds, self.now())).unwrap_or_default())
    }

    async fn leased(&self, queue: &QueueRef, tickets: &[(Kind, JobId)]) -> Result<Vec<bool>> {
        let Some(queue) = self.known(queue) else { return Ok(vec![false; tickets.len()]) };
        Ok(queue.lock().leased(tickets, self.now()))
    }

    async fn running(&self, queue: &QueueRef, kinds: &[Kind], limit: usize) -> Result<Vec<JobId>> {
        Ok(self.known(queue).map(|queue| queue.lock().running(kinds, limit, self.now())).unwrap_or_default())
    }

    async fn scan(
        &self,
        queue: &QueueRef,
        kinds: &[Kind],
        cursor: Option<&ScanCursor>,
        limit: usize,
    ) -> Result<ScanPage> {
        let foreign = || DispatchError::Unavailable("the scan was begun on another dispatch".into());
        let from = scan::Position::read(cursor).ok_or_else(foreign)?;
        let Some(queue) = self.known(queue) else { return Ok(ScanPage::default()) };
        Ok(scan::page(&queue.lock(), kinds, from, limit, self.now()))
    }

    async fn wait(&self, worker: ProcessId, at_most: Duration) -> Vec<QueueRef> {
        self.mailboxes.of(worker).wait(self.now().until(at_most)).await
    }

    async fn wake(&self, queue: &QueueRef, kinds: &[Kind]) -> Result<()> {
        if let Some(queue) = self.known(queue) {
            queue.lock().wake(kinds, self.now());
        }
        Ok(())
    }

    async fn lost(&self, queues: &[QueueRef]) -> Result<Vec<QueueRef>> {
        let is_lost = |queue: &&QueueRef| self.known(queue).is_none_or(|q| q.lock().state() == QueueState::Lost);
        Ok(queues.iter().filter(is_lost).cloned().collect())
    }

    async fn begin_rebuild(
        &self,
        queue: &QueueRef,
        kinds: &[Kind],
        _settings: &QueueSettings,
        hold: Duration,
    ) -> Result<Option<RebuildToken>> {
        let begun = self.queue(queue).lock().begin_rebuild(kinds, hold, self.now());
        // What was dropped with the lines goes here, after the lock.
        Ok(begun.map(|(token, _dropped)| token))
    }

    async fn rebuild(&self, queue: &QueueRef, token: RebuildToken, tickets: &[Ticket], hold: Duration) -> Result<bool> {
        let suspects = self.suspects(tickets);
        Ok(self.queue(queue).lock().rebuild(token, tickets, &suspects, hold, self.now()))
    }

    async fn finish_rebuild(&self, queue: &QueueRef, token: RebuildToken, settings: &QueueSettings) -> Result<bool> {
        Ok(self.queue(queue).lock().finish_rebuild(token, settings, self.now()))
    }
}
