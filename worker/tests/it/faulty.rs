//! A ledger and a dispatch that fail when they are told to, around real ones.

use async_trait::async_trait;
use futures::stream::BoxStream;
use haul_conformance::reference::{ReferenceDispatch, ReferenceLedger};
use haul_core::{
    Dispatch, FinalState, JobId, Kind, Ledger, ProcessId, QueueChange, QueueRef, QueueSettings, Tenant, Timestamp,
    dispatch::{
        self, Claim, ClaimRequest, DispatchError, Lease, QueueStats, RebuildToken, ScanCursor, ScanPage, Settlement,
        Ticket,
    },
    ledger::{self, *},
    outcome::JobRecord,
};

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

fn reset() -> Box<dyn std::error::Error + Send + Sync> {
    "connection reset by the test".into()
}

/// The reference ledger behind a connection that can be cut.
pub(crate) struct FaultyLedger {
    pub(crate) inner: ReferenceLedger,
    /// No call gets through.
    pub(crate) is_down: AtomicBool,
    /// So many records are committed without an answer.
    pub(crate) answers_to_lose: AtomicUsize,
    /// Records with this in their result are refused.
    pub(crate) refuse_marked: AtomicBool,
    pub(crate) settled_calls: AtomicUsize,
    pub(crate) record_calls: AtomicUsize,
    pub(crate) transactions: Option<Arc<dyn Transactions>>,
}

impl FaultyLedger {
    pub(crate) fn new(inner: ReferenceLedger) -> Self {
        Self {
            inner,
            is_down: AtomicBool::new(false),
            answers_to_lose: AtomicUsize::new(0),
            refuse_marked: AtomicBool::new(false),
            settled_calls: AtomicUsize::new(0),
            record_calls: AtomicUsize::new(0),
            transactions: None,
        }
    }

    fn up(&self) -> ledger::Result<&ReferenceLedger> {
        if self.is_down.load(SeqCst) { Err(LedgerError::Unavailable(reset())) } else { Ok(&self.inner) }
    }
}

/// What makes a record one that [`FaultyLedger::refuse_marked`] refuses.
pub(crate) const MARK: &[u8] = b"\"refuse me\"";

#[async_trait]
impl Ledger for FaultyLedger {
    async fn now(&self) -> ledger::Result<Timestamp> {
        self.up()?.now().await
    }
    async fn accept(&self, jobs: &[NewJob], owner: ProcessId, done: &[ReceiptId]) -> ledger::Result<BatchAccepted> {
        self.up()?.accept(jobs, owner, done).await
    }
    async fn drop_receipts(&self, receipts: &[ReceiptId]) -> ledger::Result<()> {
        self.up()?.drop_receipts(receipts).await
    }
    async fn release_receipts(&self, receipts: &[ReceiptId]) -> ledger::Result<()> {
        self.up()?.release_receipts(receipts).await
    }
    async fn load(&self, ids: &[JobId]) -> ledger::Result<Vec<Loaded>> {
        self.up()?.load(ids).await
    }
    async fn record(&self, records: &[Record], owner: ProcessId) -> ledger::Result<BatchRecorded> {
        self.record_calls.fetch_add(1, SeqCst);
        let is_marked = |record: &Record| matches!(&record.entry, Entry::Succeeded(Some(result)) if result == MARK);
        if self.refuse_marked.load(SeqCst) && records.iter().any(is_marked) {
            return Err(LedgerError::Refused(reset()));
        }
        let recorded = self.up()?.record(records, owner).await;
        let lose = self.answers_to_lose.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok();
        if lose { Err(LedgerError::Unavailable(reset())) } else { recorded }
    }
    async fn cancel(&self, tenant: &Tenant, ids: &[JobId], at: Timestamp) -> ledger::Result<Vec<Cancelled>> {
        self.up()?.cancel(tenant, ids, at).await
    }
    async fn settled(&self, ids: &[JobId]) -> ledger::Result<Vec<(JobId, FinalState)>> {
        self.settled_calls.fetch_add(1, SeqCst);
        self.up()?.settled(ids).await
    }
    async fn job(&self, tenant: &Tenant, id: JobId) -> ledger::Result<Option<JobRecord>> {
        self.inner.job(tenant, id).await
    }
    async fn list(
        &self,
        tenant: &Tenant,
        filter: &Filter,
        before: Option<JobId>,
        limit: usize,
    ) -> ledger::Result<Page> {
        self.inner.list(tenant, filter, before, limit).await
    }
    async fn queues(&self) -> ledger::Result<Vec<QueueInfo>> {
        self.up()?.queues().await
    }
    async fn configure_queue(&self, queue: &QueueRef, change: &QueueChange) -> ledger::Result<Option<QueueSettings>> {
        self.up()?.configure_queue(queue, change).await
    }
    async fn heartbeat(&self, process: &ProcessInfo) -> ledger::Result<()> {
        self.up()?.heartbeat(process).await
    }
    async fn take_receipts(&self, taker: ProcessId, limit: usize) -> ledger::Result<Vec<Receipt>> {
        self.up()?.take_receipts(taker, limit).await
    }
    async fn unsettled(
        &self,
        after: Option<JobId>,
        last: Option<JobId>,
        limit: usize,
    ) -> ledger::Result<UnsettledPage> {
        self.up()?.unsettled(after, last, limit).await
    }
    async fn reopen(&self, first: JobId, last: JobId) -> ledger::Result<()> {
        self.up()?.reopen(first, last).await
    }
    async fn close_minutes(&self) -> ledger::Result<u64> {
        self.up()?.close_minutes().await
    }
    async fn prepare_ahead(&self) -> ledger::Result<()> {
        self.up()?.prepare_ahead().await
    }
    fn events(&self) -> BoxStream<'static, ()> {
        self.inner.events()
    }
    fn transactions(&self) -> Option<Arc<dyn Transactions>> {
        self.transactions.clone()
    }
}

/// The reference dispatch behind a connection that can be cut.
pub(crate) struct FaultyDispatch {
    pub(crate) inner: ReferenceDispatch,
    /// No call gets through.
    pub(crate) is_down: AtomicBool,
    /// Every extension is answered "not yours any more".
    pub(crate) deny_extensions: AtomicBool,
    /// It says that it has lost everything.
    pub(crate) says_lost: AtomicBool,
    /// How long the answer to a claim takes, after it took effect.
    pub(crate) claim_answer_ms: AtomicU64,
    pub(crate) claim_calls: AtomicUsize,
    pub(crate) extend_calls: AtomicUsize,
}

impl FaultyDispatch {
    pub(crate) fn new(inner: ReferenceDispatch) -> Self {
        Self {
            inner,
            is_down: AtomicBool::new(false),
            deny_extensions: AtomicBool::new(false),
            says_lost: AtomicBool::new(false),
            claim_answer_ms: AtomicU64::new(0),
            claim_calls: AtomicUsize::new(0),
            extend_calls: AtomicUsize::new(0),
        }
    }

    fn up(&self) -> dispatch::Result<&ReferenceDispatch> {
        if self.is_down.load(SeqCst) { Err(DispatchError::Unavailable(reset())) } else { Ok(&self.inner) }
    }
}

#[async_trait]
impl Dispatch for FaultyDispatch {
    async fn enqueue(&self, queue: &QueueRef, tickets: &[Ticket]) -> dispatch::Result<()> {
        self.up()?.enqueue(queue, tickets).await
    }
    async fn claim(&self, request: &ClaimRequest<'_>) -> dispatch::Result<Claim> {
        self.claim_calls.fetch_add(1, SeqCst);
        let claim = self.up()?.claim(request).await;
        let pause_ms = self.claim_answer_ms.load(SeqCst);
        if pause_ms > 0 {
            tokio::time::sleep(Duration::from_millis(pause_ms)).await;
        }
        claim
    }
    async fn extend(&self, queue: &QueueRef, leases: &[Lease], lease: Duration) -> dispatch::Result<Vec<bool>> {
        self.extend_calls.fetch_add(1, SeqCst);
        let held = self.up()?.extend(queue, leases, lease).await?;
        Ok(if self.deny_extensions.load(SeqCst) { vec![false; held.len()] } else { held })
    }
    async fn settle(&self, queue: &QueueRef, settlements: &[Settlement]) -> dispatch::Result<()> {
        self.up()?.settle(queue, settlements).await
    }
    async fn remove(&self, queue: &QueueRef, tickets: &[(Kind, JobId)]) -> dispatch::Result<()> {
        self.up()?.remove(queue, tickets).await
    }
    async fn configure(&self, queue: &QueueRef, settings: &QueueSettings) -> dispatch::Result<()> {
        self.up()?.configure(queue, settings).await
    }
    async fn stats(&self, queue: &QueueRef, kinds: &[Kind]) -> dispatch::Result<QueueStats> {
        self.up()?.stats(queue, kinds).await
    }
    async fn leased(&self, queue: &QueueRef, tickets: &[(Kind, JobId)]) -> dispatch::Result<Vec<bool>> {
        self.up()?.leased(queue, tickets).await
    }
    async fn running(&self, queue: &QueueRef, kinds: &[Kind], limit: usize) -> dispatch::Result<Vec<JobId>> {
        self.up()?.running(queue, kinds, limit).await
    }
    async fn scan(
        &self,
        queue: &QueueRef,
        kinds: &[Kind],
        cursor: Option<&ScanCursor>,
        limit: usize,
    ) -> dispatch::Result<ScanPage> {
        self.up()?.scan(queue, kinds, cursor, limit).await
    }
    async fn wait(&self, worker: ProcessId, at_most: Duration) -> Vec<QueueRef> {
        self.inner.wait(worker, at_most).await
    }
    async fn wake(&self, queue: &QueueRef, kinds: &[Kind]) -> dispatch::Result<()> {
        self.up()?.wake(queue, kinds).await
    }
    async fn lost(&self, queues: &[QueueRef]) -> dispatch::Result<Vec<QueueRef>> {
        if self.says_lost.load(SeqCst) {
            return Ok(queues.to_vec());
        }
        self.up()?.lost(queues).await
    }
    async fn begin_rebuild(
        &self,
        queue: &QueueRef,
        kinds: &[Kind],
        settings: &QueueSettings,
        hold: Duration,
    ) -> dispatch::Result<Option<RebuildToken>> {
        self.up()?.begin_rebuild(queue, kinds, settings, hold).await
    }
    async fn rebuild(
        &self,
        queue: &QueueRef,
        token: RebuildToken,
        tickets: &[Ticket],
        hold: Duration,
    ) -> dispatch::Result<bool> {
        self.up()?.rebuild(queue, token, tickets, hold).await
    }
    async fn finish_rebuild(
        &self,
        queue: &QueueRef,
        token: RebuildToken,
        settings: &QueueSettings,
    ) -> dispatch::Result<bool> {
        self.up()?.finish_rebuild(queue, token, settings).await
    }
}
