//! The reference ledger: one lock around [`State`], and a clock that can be moved.

use super::state::State;
use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt};
use haul_core::{
    Clock, JobId, Ledger, ProcessId, QueueChange, QueueSettings, Tenant, Timestamp,
    ledger::{
        BatchAccepted, BatchRecorded, Cancelled, Filter, Loaded, NewJob, Page, ProcessInfo, QueueInfo, Receipt,
        ReceiptId, Record, Result, UnsettledPage,
    },
    name::QueueRef,
    outcome::{FinalState, JobRecord},
};
use parking_lot::Mutex;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// A ledger in memory.
#[derive(Debug)]
pub struct ReferenceLedger {
    pub(super) clock: Arc<Clock>,
    aged_ms: AtomicU64,
    pub(super) state: Mutex<State>,
}

impl ReferenceLedger {
    /// An empty ledger on the given clock.
    pub fn new(clock: Arc<Clock>) -> Self {
        Self { clock, aged_ms: AtomicU64::new(0), state: Mutex::new(State::default()) }
    }

    /// Makes every receipt, heartbeat and idempotency key older by `by`. What carries its time in its id stays.
    pub fn age(&self, by: Duration) {
        self.aged_ms.fetch_add(u64::try_from(by.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Whether a receipt covers the job, so that repair will come to it.
    pub fn has_receipt(&self, job: JobId) -> bool {
        self.state.lock().has_receipt(job)
    }

    /// The time by which receipts, heartbeats and keys are judged.
    pub(super) fn rule_time(&self) -> Timestamp {
        self.clock.now().plus(Duration::from_millis(self.aged_ms.load(Ordering::Relaxed)))
    }
}

#[async_trait]
impl Ledger for ReferenceLedger {
    async fn now(&self) -> Result<Timestamp> {
        Ok(self.clock.now())
    }

    async fn accept(&self, jobs: &[NewJob], owner: ProcessId, done: &[ReceiptId]) -> Result<BatchAccepted> {
        self.state.lock().accept(self.rule_time(), jobs, owner, done)
    }

    async fn drop_receipts(&self, receipts: &[ReceiptId]) -> Result<()> {
        self.state.lock().drop_receipts(receipts);
        Ok(())
    }

    async fn release_receipts(&self, receipts: &[ReceiptId]) -> Result<()> {
        self.state.lock().release_receipts(receipts);
        Ok(())
    }

    async fn load(&self, ids: &[JobId]) -> Result<Vec<Loaded>> {
        Ok(self.state.lock().load(ids))
    }

    async fn record(&self, records: &[Record], owner: ProcessId) -> Result<BatchRecorded> {
        self.state.lock().record(self.rule_time(), records, owner)
    }

    async fn cancel(&self, tenant: &Tenant, ids: &[JobId], at: Timestamp) -> Result<Vec<Cancelled>> {
        Ok(self.state.lock().cancel(tenant, ids, at))
    }

    async fn settled(&self, ids: &[JobId]) -> Result<Vec<(JobId, FinalState)>> {
        Ok(self.state.lock().settled(ids))
    }

    async fn job(&self, tenant: &Tenant, id: JobId) -> Result<Option<JobRecord>> {
        Ok(self.state.lock().job(tenant, id))
    }

    async fn list(&self, tenant: &Tenant, filter: &Filter, before: Option<JobId>, limit: usize) -> Result<Page> {
        Ok(self.state.lock().list(tenant, filter, before, limit))
    }

    async fn queues(&self) -> Result<Vec<QueueInfo>> {
        Ok(self.state.lock().queues())
    }

    async fn configure_queue(&self, queue: &QueueRef, change: &QueueChange) -> Result<Option<QueueSettings>> {
        self.state.lock().configure_queue(queue, change)
    }

    async fn heartbeat(&self, process: &ProcessInfo) -> Result<()> {
        self.state.lock().heartbeat(self.rule_time(), process);
        Ok(())
    }

    async fn take_receipts(&self, taker: ProcessId, limit: usize) -> Result<Vec<Receipt>> {
        Ok(self.state.lock().take_receipts(self.rule_time(), taker, limit))
    }

    async fn unsettled(&self, after: Option<JobId>, last: Option<JobId>, limit: usize) -> Result<UnsettledPage> {
        Ok(self.state.lock().unsettled(after, last, limit))
    }

    async fn reopen(&self, first: JobId, last: JobId) -> Result<()> {
        self.state.lock().reopen(first, last);
        Ok(())
    }

    async fn close_minutes(&self) -> Result<u64> {
        Ok(self.state.lock().close_minutes(self.clock.now()))
    }

    async fn prepare_ahead(&self) -> Result<()> {
        Ok(())
    }

    /// Silent: no user's transaction reaches into this memory.
    fn events(&self) -> BoxStream<'static, ()> {
        stream::pending().boxed()
    }
}
