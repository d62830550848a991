//! The ledger behind a door that opens once.

use super::Closed;
use async_trait::async_trait;
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use haul_core::{
    FinalState, JobId, Ledger, ProcessId, QueueChange, QueueRef, QueueSettings, Tenant, Timestamp,
    ledger::{
        BatchAccepted, BatchRecorded, Cancelled, Filter, LedgerError, Loaded, NewJob, Page, ProcessInfo, QueueInfo,
        Receipt, ReceiptId, Record, Result, Transactions, UnsettledPage,
    },
    outcome::JobRecord,
};
use std::sync::Arc;
use tokio::sync::watch;

/// A ledger that is not reached yet, or is.
#[derive(Default)]
pub(crate) struct LedgerDoor(watch::Sender<Option<Arc<dyn Ledger>>>);

impl LedgerDoor {
    /// From now on this one answers.
    pub(crate) fn open(&self, ledger: Arc<dyn Ledger>) {
        self.0.send_replace(Some(ledger));
    }

    fn get(&self) -> Result<Arc<dyn Ledger>> {
        let closed = || LedgerError::Unavailable(Box::new(Closed("it was not reached yet")));
        self.0.borrow().clone().ok_or_else(closed)
    }
}

#[async_trait]
impl Ledger for LedgerDoor {
    async fn now(&self) -> Result<Timestamp> {
        self.get()?.now().await
    }
    async fn accept(&self, jobs: &[NewJob], owner: ProcessId, done: &[ReceiptId]) -> Result<BatchAccepted> {
        self.get()?.accept(jobs, owner, done).await
    }
    async fn drop_receipts(&self, receipts: &[ReceiptId]) -> Result<()> {
        self.get()?.drop_receipts(receipts).await
    }
    async fn release_receipts(&self, receipts: &[ReceiptId]) -> Result<()> {
        self.get()?.release_receipts(receipts).await
    }
    async fn load(&self, ids: &[JobId]) -> Result<Vec<Loaded>> {
        self.get()?.load(ids).await
    }
    async fn record(&self, records: &[Record], owner: ProcessId) -> Result<BatchRecorded> {
        self.get()?.record(records, owner).await
    }
    async fn cancel(&self, tenant: &Tenant, ids: &[JobId], at: Timestamp) -> Result<Vec<Cancelled>> {
        self.get()?.cancel(tenant, ids, at).await
    }
    async fn settled(&self, ids: &[JobId]) -> Result<Vec<(JobId, FinalState)>> {
        self.get()?.settled(ids).await
    }
    async fn job(&self, tenant: &Tenant, id: JobId) -> Result<Option<JobRecord>> {
        self.get()?.job(tenant, id).await
    }
    async fn list(&self, tenant: &Tenant, filter: &Filter, before: Option<JobId>, limit: usize) -> Result<Page> {
        self.get()?.list(tenant, filter, before, limit).await
    }
    async fn queues(&self) -> Result<Vec<QueueInfo>> {
        self.get()?.queues().await
    }
    async fn configure_queue(&self, queue: &QueueRef, change: &QueueChange) -> Result<Option<QueueSettings>> {
        self.get()?.configure_queue(queue, change).await
    }
    async fn heartbeat(&self, process: &ProcessInfo) -> Result<()> {
        self.get()?.heartbeat(process).await
    }
    async fn take_receipts(&self, taker: ProcessId, limit: usize) -> Result<Vec<Receipt>> {
        self.get()?.take_receipts(taker, limit).await
    }
    async fn unsettled(&self, after: Option<JobId>, last: Option<JobId>, limit: usize) -> Result<UnsettledPage> {
        self.get()?.unsettled(after, last, limit).await
    }
    async fn reopen(&self, first: JobId, last: JobId) -> Result<()> {
        self.get()?.reopen(first, last).await
    }
    async fn close_minutes(&self) -> Result<u64> {
        self.get()?.close_minutes().await
    }
    async fn prepare_ahead(&self) -> Result<()> {
        self.get()?.prepare_ahead().await
    }

    fn events(&self) -> BoxStream<'static, ()> {
        let mut door = self.0.subscribe();
        let events = async move {
            match door.wait_for(Option::is_some).await.as_deref() {
                Ok(Some(ledger)) => ledger.events(),
                // The door is gone, and with it everybody who could open it.
                Ok(None) | Err(_) => stream::pending().boxed(),
            }
        };
        stream::once(events).flatten().boxed()
    }

    fn transactions(&self) -> Option<Arc<dyn Transactions>> {
        self.get().ok()?.transactions()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_ledger_that_is_not_reached_yet_is_one_that_is_down() {
        let door = LedgerDoor::default();
        let error = door.now().await.unwrap_err();
        assert!(error.is_transient(), "{error}");
    }
}
