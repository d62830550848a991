//! The ledger in SQLite: one file, one process, no service.
//!
//! Promise: everything that [`Ledger`] says. A commit is on the disk (write-ahead log, `synchronous=FULL`) before it is
//! answered; a write that fails has written nothing.
//!
//! The directory is locked for as long as the ledger lives. One connection writes, a few read; what the writer knows by
//! heart (queues, up to where history is closed) is exact for that reason. There are no transactional handlers: a user's
//! tables are elsewhere.
//!
//! Calls may be dropped half-way: what they did is then unknown, as the contract allows, and nothing is half-written.

mod accept;
mod books;
mod close;
mod endpoints;
mod error;
mod fleet;
mod job;
mod keys;
mod list;
mod look;
mod open;
mod queues;
mod receipts;
mod record;
mod retention;
mod rows;
mod schedules;
mod statistics;
mod unsettled;
mod writer;

pub use open::OpenError;

use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt};
use haul_core::{
    Clock, JobId, Ledger, Maintenance, ProcessId, QueueChange, QueueRef, QueueSettings, Tenant, Timestamp,
    ledger::{
        BatchAccepted, BatchRecorded, Cancelled, Filter, Loaded, NewJob, Page, PoolUse, ProcessInfo, QueueInfo,
        Receipt, ReceiptId, Record, Result, UnsettledPage,
    },
    maintenance::{Progress, Retained, Retention},
    outcome::{FinalState, JobRecord},
};
use sqlx::sqlite::SqlitePool;
use std::fs::File;
use writer::Writer;

/// A ledger in a directory of this machine.
#[derive(Debug)]
pub struct SqliteLedger {
    clock: Clock,
    writer: Writer,
    readers: SqlitePool,
    /// Released when it is closed, also by a crash.
    _lock: File,
}

impl SqliteLedger {
    /// Closes the ledger once the calls that are under way have ended: the log is merged into the database. Not needed
    /// for durability. Calls that come later fail.
    pub async fn close(&self) -> Result<()> {
        self.readers.close().await;
        self.writer.close().await
    }

    /// How many of the connections that read are in use. There is one more, which writes.
    pub fn pools(&self) -> Vec<PoolUse> {
        let (open, idle) = (self.readers.size() as usize, self.readers.num_idle());
        let max = self.readers.options().get_max_connections() as usize;
        vec![PoolUse { pool: "statements", idle, used: open.saturating_sub(idle), max }]
    }
}

#[async_trait]
impl Ledger for SqliteLedger {
    async fn now(&self) -> Result<Timestamp> {
        Ok(self.clock.now())
    }

    async fn accept(&self, jobs: &[NewJob], owner: ProcessId, done: &[ReceiptId]) -> Result<BatchAccepted> {
        accept::accept(&self.writer, jobs, owner, done, self.clock.now()).await
    }

    async fn drop_receipts(&self, receipts: &[ReceiptId]) -> Result<()> {
        receipts::drop(&self.writer, receipts).await
    }

    async fn release_receipts(&self, receipts: &[ReceiptId]) -> Result<()> {
        receipts::release(&self.writer, receipts).await
    }

    async fn load(&self, ids: &[JobId]) -> Result<Vec<Loaded>> {
        look::load(&self.readers, ids).await
    }

    async fn record(&self, records: &[Record], owner: ProcessId) -> Result<BatchRecorded> {
        record::record(&self.writer, records, owner, self.clock.now()).await
    }

    async fn cancel(&self, tenant: &Tenant, ids: &[JobId], at: Timestamp) -> Result<Vec<Cancelled>> {
        record::cancel(&self.writer, tenant, ids, at).await
    }

    async fn settled(&self, ids: &[JobId]) -> Result<Vec<(JobId, FinalState)>> {
        look::settled(&self.readers, ids).await
    }

    async fn job(&self, tenant: &Tenant, id: JobId) -> Result<Option<JobRecord>> {
        look::job(&self.readers, tenant, id).await
    }

    async fn list(&self, tenant: &Tenant, filter: &Filter, before: Option<JobId>, limit: usize) -> Result<Page> {
        list::list(&self.readers, tenant, filter, before, limit).await
    }

    async fn queues(&self) -> Result<Vec<QueueInfo>> {
        queues::all(&self.readers).await
    }

    async fn configure_queue(&self, queue: &QueueRef, change: &QueueChange) -> Result<Option<QueueSettings>> {
        queues::configure(&self.writer, queue, change).await
    }

    async fn heartbeat(&self, process: &ProcessInfo) -> Result<()> {
        receipts::heartbeat(&self.writer, process, self.clock.now()).await
    }

    async fn take_receipts(&self, taker: ProcessId, limit: usize) -> Result<Vec<Receipt>> {
        receipts::take(&self.writer, taker, limit, self.clock.now()).await
    }

    async fn unsettled(&self, after: Option<JobId>, last: Option<JobId>, limit: usize) -> Result<UnsettledPage> {
        unsettled::unsettled(&self.readers, after, last, limit).await
    }

    /// Nothing to do: a job that comes into closed history is kept as a straggler by its own commit.
    async fn reopen(&self, _first: JobId, _last: JobId) -> Result<()> {
        Ok(())
    }

    async fn close_minutes(&self) -> Result<u64> {
        let now = self.clock.now();
        keys::forget(&self.writer, now, keys::FORGET_MAX).await?;
        close::close_minutes(&self.writer, now).await
    }

    /// Nothing to do: there are no partitions.
    async fn prepare_ahead(&self) -> Result<()> {
        Ok(())
    }

    /// Silent for ever: nobody else can commit.
    fn events(&self) -> BoxStream<'static, ()> {
        stream::pending().boxed()
    }
}

#[async_trait]
impl Maintenance for SqliteLedger {
    async fn retain(&self, retention: &Retention) -> Result<Retained> {
        retention::retain(&self.writer, retention, self.clock.now()).await
    }

    async fn erase_payloads(&self, before: Timestamp) -> Result<Progress> {
        retention::erase_payloads(&self.writer, before).await
    }

    async fn expire_keys(&self, limit: usize) -> Result<Progress> {
        retention::expire_keys(&self.writer, limit, self.clock.now()).await
    }

    /// Nothing to do: every statement says itself in which order it reads, and by which index.
    async fn analyze(&self) -> Result<Progress> {
        Ok(Progress::default())
    }
}
