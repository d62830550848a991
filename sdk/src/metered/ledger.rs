//! The ledger, measured. What handlers do in transactions of their own is not measured.

use super::{Call, calls};
use async_trait::async_trait;
use futures::stream::BoxStream;
use haul_core::{
    FinalState, JobId, Ledger, ProcessId, QueueChange, QueueRef, QueueSettings, Tenant, Timestamp,
    ledger::{
        BatchAccepted, BatchRecorded, Cancelled, Filter, Loaded, NewJob, Page, ProcessInfo, QueueInfo, Receipt,
        ReceiptId, Record, Result, Transactions, UnsettledPage,
    },
    outcome::JobRecord,
};
use std::sync::Arc;

calls!({ now, accept, drop_receipts, release_receipts, load, record, cancel, settled, job, list, queues, configure_queue, heartbeat, take_receipts, unsettled, reopen, close_minutes, prepare_ahead });

/// Has a ledger measured.
pub(crate) struct MeteredLedger {
    inner: Arc<dyn Ledger>,
    calls: Calls,
}

impl MeteredLedger {
    pub(crate) fn new(inner: Arc<dyn Ledger>) -> Self {
        Self { inner, calls: Calls::new(Call::of_ledger) }
    }
}

#[async_trait]
impl Ledger for MeteredLedger {
    async fn now(&self) -> Result<Timestamp> {
        self.calls.now.time(self.inner.now()).await
    }
    async fn accept(&self, jobs: &[NewJob], owner: ProcessId, done: &[ReceiptId]) -> Result<BatchAccepted> {
        self.calls.accept.time(self.inner.accept(jobs, owner, done)).await
    }
    async fn drop_receipts(&self, receipts: &[ReceiptId]) -> Result<()> {
        self.calls.drop_receipts.time(self.inner.drop_receipts(receipts)).await
    }
    async fn release_receipts(&self, receipts: &[ReceiptId]) -> Result<()> {
        self.calls.release_receipts.time(self.inner.release_receipts(receipts)).await
    }
    async fn load(&self, ids: &[JobId]) -> Result<Vec<Loaded>> {
        self.calls.load.time(self.inner.load(ids)).await
    }
    async fn record(&self, records: &[Record], owner: ProcessId) -> Result<BatchRecorded> {
        self.calls.record.time(self.inner.record(records, owner)).await
    }
    async fn cancel(&self, tenant: &Tenant, ids: &[JobId], at: Timestamp) -> Result<Vec<Cancelled>> {
        self.calls.cancel.time(self.inner.cancel(tenant, ids, at)).await
    }
    async fn settled(&self, ids: &[JobId]) -> Result<Vec<(JobId, FinalState)>> {
        self.calls.settled.time(self.inner.settled(ids)).await
    }
    async fn job(&self, tenant: &Tenant, id: JobId) -> Result<Option<JobRecord>> {
        self.calls.job.time(self.inner.job(tenant, id)).await
    }
    async fn list(&self, tenant: &Tenant, filter: &Filter, before: Option<JobId>, limit: usize) -> Result<Page> {
        self.calls.list.time(self.inner.list(tenant, filter, before, limit)).await
    }
    async fn queues(&self) -> Result<Vec<QueueInfo>> {
        self.calls.queues.time(self.inner.queues()).await
    }
    async fn configure_queue(&self, queue: &QueueRef, change: &QueueChange) -> Result<Option<QueueSettings>> {
        self.calls.configure_queue.time(self.inner.configure_queue(queue, change)).await
    }
    async fn heartbeat(&self, process: &ProcessInfo) -> Result<()> {
        self.calls.heartbeat.time(self.inner.heartbeat(process)).await
    }
    async fn take_receipts(&self, taker: ProcessId, limit: usize) -> Result<Vec<Receipt>> {
        self.calls.take_receipts.time(self.inner.take_receipts(taker, limit)).await
    }
    async fn unsettled(&self, after: Option<JobId>, last: Option<JobId>, limit: usize) -> Result<UnsettledPage> {
        self.calls.unsettled.time(self.inner.unsettled(after, last, limit)).await
    }
    async fn reopen(&self, first: JobId, last: JobId) -> Result<()> {
        self.calls.reopen.time(self.inner.reopen(first, last)).await
    }
    async fn close_minutes(&self) -> Result<u64> {
        self.calls.close_minutes.time(self.inner.close_minutes()).await
    }
    async fn prepare_ahead(&self) -> Result<()> {
        self.calls.prepare_ahead.time(self.inner.prepare_ahead()).await
    }

    fn events(&self) -> BoxStream<'static, ()> {
        self.inner.events()
    }

    fn transactions(&self) -> Option<Arc<dyn Transactions>> {
        self.inner.transactions()
    }
}
