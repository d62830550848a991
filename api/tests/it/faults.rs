//! Wrappers that make a ledger, a dispatch or a store of pace fail on command, and count what they are asked.

use async_trait::async_trait;
use futures::stream::BoxStream;
use haul_core::{
    Dispatch, Endpoints, FinalState, JobId, Kind, Ledger, Pace, ProcessId, QueueChange, QueueRef, QueueSettings,
    ScheduleName, Statistics, Tenant, Timestamp,
    dispatch::{
        self, Claim, ClaimRequest, DispatchError, Lease, QueueStats, RebuildToken, ScanCursor, ScanPage, Settlement,
        Ticket,
    },
    endpoints::{self, Delivered, Disabled, Endpoint, EndpointId, NewEndpoint},
    ledger::{self, *},
    maintenance::Progress,
    outcome::JobRecord,
    pace::{self, Destination, Enter, Entry, Left, PaceError, Permit, Rules, Sight, Verdict},
    schedules::{
        Agenda, BatchFired, Changed, Created, Edit, NewSchedule, Schedule, ScheduleId, ScheduleRef, Schedules, Step,
    },
    statistics::Hour,
};
use parking_lot::Mutex;
use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::sync::Semaphore;

/// What one `accept` does instead of its work, or besides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing is committed, the answer is an error.
    Unavailable,
    /// Everything is committed, the answer is lost all the same.
    AnswerLost,
    /// The adapter panics.
    Panic,
}

/// A ledger that fails on command.
pub(crate) struct FaultyLedger {
    inner: Arc<dyn Ledger>,
    schedules: Arc<dyn Schedules>,
    endpoints: Arc<dyn Endpoints>,
    statistics: Arc<dyn Statistics>,
    /// Steps that are taken, one each, right before the next edits.
    pub(crate) steps_before_edits: Mutex<VecDeque<Step>>,
    /// Every call fails until this is false again.
    pub(crate) down: AtomicBool,
    /// What the next calls of `accept` do, one each.
    pub(crate) accept_faults: Mutex<VecDeque<Fault>>,
    /// Jobs of this kind are refused, with all others of their statement.
    pub(crate) refused_kind: Mutex<Option<String>>,
    /// Keys that another transaction holds.
    pub(crate) held_key: Mutex<Option<String>>,
    /// Calls of `accept` wait for a permit each while this is set.
    pub(crate) accept_gate: Mutex<Option<Arc<Semaphore>>>,
    /// The sizes of all batches that were sent.
    pub(crate) batches: Mutex<Vec<usize>>,
    pub(crate) settled_calls: AtomicUsize,
    pub(crate) released: AtomicUsize,
    pub(crate) dropped: AtomicUsize,
}

impl FaultyLedger {
    pub(crate) fn new(inner: Arc<impl Ledger + Schedules + Endpoints + Statistics>) -> Self {
        Self {
            schedules: inner.clone(),
            endpoints: inner.clone(),
            statistics: inner.clone(),
            inner,
            steps_before_edits: Mutex::default(),
            down: AtomicBool::new(false),
            accept_faults: Mutex::default(),
            refused_kind: Mutex::default(),
            held_key: Mutex::default(),
            accept_gate: Mutex::default(),
            batches: Mutex::default(),
            settled_calls: AtomicUsize::new(0),
            released: AtomicUsize::new(0),
            dropped: AtomicUsize::new(0),
        }
    }

    fn up(&self) -> ledger::Result<()> {
        if self.down.load(Ordering::Relaxed) { Err(unavailable()) } else { Ok(()) }
    }

    fn refuse(&self, jobs: &[NewJob]) -> ledger::Result<()> {
        let refused = self.refused_kind.lock().clone();
        if jobs.iter().any(|new| Some(new.job.kind.as_str()) == refused.as_deref()) {
            return Err(LedgerError::Refused("a row that no store can hold".into()));
        }
        let held = self.held_key.lock().clone();
        let key = |new: &NewJob| new.idempotency.as_ref().map(|idempotency| idempotency.key.clone());
        if held.is_some() && jobs.iter().any(|new| key(new) == held) {
            return Err(LedgerError::Contended("held by another transaction".into()));
        }
        Ok(())
    }
}

fn unavailable() -> LedgerError {
    LedgerError::Unavailable("secret-host:5432 refused the connection".into())
}

#[async_trait]
impl Statistics for FaultyLedger {
    async fn count_hour(&self) -> ledger::Result<Progress> {
        self.up()?;
        self.statistics.count_hour().await
    }
    async fn expire_hours(&self, before: Timestamp, limit: usize) -> ledger::Result<Progress> {
        self.up()?;
        self.statistics.expire_hours(before, limit).await
    }
    async fn hours(
        &self,
        queue: &QueueRef,
        kind: Option<&Kind>,
        from: Timestamp,
        to: Timestamp,
    ) -> ledger::Result<Vec<Hour>> {
        self.up()?;
        self.statistics.hours(queue, kind, from, to).await
    }
}

#[async_trait]
impl Endpoints for FaultyLedger {
    async fn create(&self, new: &NewEndpoint) -> ledger::Result<endpoints::Created> {
        self.up()?;
        self.endpoints.create(new).await
    }
    async fn get(&self, tenant: &Tenant, id: EndpointId) -> ledger::Result<Option<Endpoint>> {
        self.up()?;
        self.endpoints.get(tenant, id).await
    }
    async fn list(&self, tenant: &Tenant, after: Option<EndpointId>, limit: usize) -> ledger::Result<Vec<Endpoint>> {
        self.up()?;
        self.endpoints.list(tenant, after, limit).await
    }
    async fn edit(&self, edit: &endpoints::Edit) -> ledger::Result<endpoints::Changed> {
        self.up()?;
        self.endpoints.edit(edit).await
    }
    async fn delete(
        &self,
        tenant: &Tenant,
        id: EndpointId,
        version: Option<i64>,
    ) -> ledger::Result<endpoints::Changed> {
        self.up()?;
        self.endpoints.delete(tenant, id, version).await
    }
    async fn report(
        &self,
        tenant: &Tenant,
        id: EndpointId,
        version: i64,
        delivered: Delivered,
    ) -> ledger::Result<Option<Disabled>> {
        self.up()?;
        self.endpoints.report(tenant, id, version, delivered).await
    }
}

#[async_trait]
impl Schedules for FaultyLedger {
    async fn create(&self, new: &NewSchedule, schedules_max: usize) -> ledger::Result<Created> {
        self.up()?;
        self.schedules.create(new, schedules_max).await
    }
    async fn create_once(&self, new: &NewSchedule) -> ledger::Result<bool> {
        self.up()?;
        self.schedules.create_once(new).await
    }
    async fn get(&self, key: &ScheduleRef) -> ledger::Result<Option<Schedule>> {
        self.up()?;
        self.schedules.get(key).await
    }
    async fn list(&self, tenant: &Tenant, after: Option<&ScheduleName>, limit: usize) -> ledger::Result<Vec<Schedule>> {
        self.up()?;
        self.schedules.list(tenant, after, limit).await
    }
    async fn load(&self, ids: &[ScheduleId]) -> ledger::Result<Vec<Schedule>> {
        self.up()?;
        self.schedules.load(ids).await
    }
    async fn edit(&self, edit: &Edit) -> ledger::Result<Changed> {
        self.up()?;
        let step = self.steps_before_edits.lock().pop_front();
        if let Some(step) = step {
            self.schedules.fire(&[step], ProcessId::random(), &[]).await?;
        }
        self.schedules.edit(edit).await
    }
    async fn set_paused(&self, key: &ScheduleRef, version: Option<i64>, paused: bool) -> ledger::Result<Changed> {
        self.up()?;
        self.schedules.set_paused(key, version, paused).await
    }
    async fn delete(&self, key: &ScheduleRef, version: Option<i64>) -> ledger::Result<Changed> {
        self.up()?;
        self.schedules.delete(key, version).await
    }
    async fn due(&self, limit: usize) -> ledger::Result<Agenda> {
        self.up()?;
        self.schedules.due(limit).await
    }
    async fn fire(&self, steps: &[Step], owner: ProcessId, done: &[ReceiptId]) -> ledger::Result<BatchFired> {
        self.up()?;
        self.schedules.fire(steps, owner, done).await
    }
}

#[async_trait]
impl Ledger for FaultyLedger {
    async fn now(&self) -> ledger::Result<Timestamp> {
        self.up()?;
        self.inner.now().await
    }
    async fn accept(&self, jobs: &[NewJob], owner: ProcessId, done: &[ReceiptId]) -> ledger::Result<BatchAccepted> {
        self.batches.lock().push(jobs.len());
        let gate = self.accept_gate.lock().clone();
        if let Some(gate) = gate {
            gate.acquire().await.expect("the gate stays open").forget();
        }
        self.up()?;
        self.refuse(jobs)?;
        let fault = self.accept_faults.lock().pop_front();
        match fault {
            Some(Fault::Unavailable) => Err(unavailable()),
            Some(Fault::Panic) => panic!("an adapter's defect"),
            Some(Fault::AnswerLost) => {
                self.inner.accept(jobs, owner, done).await?;
                Err(unavailable())
            }
            None => self.inner.accept(jobs, owner, done).await,
        }
    }
    async fn drop_receipts(&self, receipts: &[ReceiptId]) -> ledger::Result<()> {
        self.up()?;
        self.dropped.fetch_add(receipts.len(), Ordering::Relaxed);
        self.inner.drop_receipts(receipts).await
    }
    async fn release_receipts(&self, receipts: &[ReceiptId]) -> ledger::Result<()> {
        self.up()?;
        self.released.fetch_add(receipts.len(), Ordering::Relaxed);
        self.inner.release_receipts(receipts).await
    }
    async fn load(&self, ids: &[JobId]) -> ledger::Result<Vec<Loaded>> {
        self.up()?;
        self.inner.load(ids).await
    }
    async fn record(&self, records: &[Record], owner: ProcessId) -> ledger::Result<BatchRecorded> {
        self.up()?;
        self.inner.record(records, owner).await
    }
    async fn cancel(&self, tenant: &Tenant, ids: &[JobId], at: Timestamp) -> ledger::Result<Vec<Cancelled>> {
        self.up()?;
        self.inner.cancel(tenant, ids, at).await
    }
    async fn settled(&self, ids: &[JobId]) -> ledger::Result<Vec<(JobId, FinalState)>> {
        self.settled_calls.fetch_add(1, Ordering::Relaxed);
        self.up()?;
        self.inner.settled(ids).await
    }
    async fn job(&self, tenant: &Tenant, id: JobId) -> ledger::Result<Option<JobRecord>> {
        self.up()?;
        self.inner.job(tenant, id).await
    }
    async fn list(
        &self,
        tenant: &Tenant,
        filter: &Filter,
        before: Option<JobId>,
        limit: usize,
    ) -> ledger::Result<Page> {
        self.up()?;
        self.inner.list(tenant, filter, before, limit).await
    }
    async fn queues(&self) -> ledger::Result<Vec<QueueInfo>> {
        self.up()?;
        self.inner.queues().await
    }
    async fn configure_queue(&self, queue: &QueueRef, change: &QueueChange) -> ledger::Result<Option<QueueSettings>> {
        self.up()?;
        self.inner.configure_queue(queue, change).await
    }
    async fn heartbeat(&self, process: &ProcessInfo) -> ledger::Result<()> {
        self.inner.heartbeat(process).await
    }
    async fn take_receipts(&self, taker: ProcessId, limit: usize) -> ledger::Result<Vec<Receipt>> {
        self.inner.take_receipts(taker, limit).await
    }
    async fn unsettled(
        &self,
        after: Option<JobId>,
        last: Option<JobId>,
        limit: usize,
    ) -> ledger::Result<UnsettledPage> {
        self.inner.unsettled(after, last, limit).await
    }
    async fn reopen(&self, first: JobId, last: JobId) -> ledger::Result<()> {
        self.inner.reopen(first, last).await
    }
    async fn close_minutes(&self) -> ledger::Result<u64> {
        self.inner.close_minutes().await
    }
    async fn prepare_ahead(&self) -> ledger::Result<()> {
        self.inner.prepare_ahead().await
    }
    fn events(&self) -> BoxStream<'static, ()> {
        self.inner.events()
    }
}

/// A dispatch that fails, or never answers, on command.
pub(crate) struct FaultyDispatch {
    inner: Arc<dyn Dispatch>,
    pub(crate) down: AtomicBool,
    pub(crate) hangs: AtomicBool,
    pub(crate) enqueued: AtomicUsize,
}

impl FaultyDispatch {
    pub(crate) fn new(inner: Arc<dyn Dispatch>) -> Self {
        let (down, hangs, enqueued) = (AtomicBool::new(false), AtomicBool::new(false), AtomicUsize::new(0));
        Self { inner, down, hangs, enqueued }
    }

    async fn up(&self) -> dispatch::Result<()> {
        if self.hangs.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        if self.down.load(Ordering::Relaxed) {
            return Err(DispatchError::Unavailable("secret-host:6379 refused the connection".into()));
        }
        Ok(())
    }
}

#[async_trait]
impl Dispatch for FaultyDispatch {
    async fn enqueue(&self, queue: &QueueRef, tickets: &[Ticket]) -> dispatch::Result<()> {
        self.up().await?;
        self.enqueued.fetch_add(tickets.len(), Ordering::Relaxed);
        self.inner.enqueue(queue, tickets).await
    }
    async fn claim(&self, request: &ClaimRequest<'_>) -> dispatch::Result<Claim> {
        self.up().await?;
        self.inner.claim(request).await
    }
    async fn extend(&self, queue: &QueueRef, leases: &[Lease], lease: Duration) -> dispatch::Result<Vec<bool>> {
        self.up().await?;
        self.inner.extend(queue, leases, lease).await
    }
    async fn settle(&self, queue: &QueueRef, settlements: &[Settlement]) -> dispatch::Result<()> {
        self.up().await?;
        self.inner.settle(queue, settlements).await
    }
    async fn remove(&self, queue: &QueueRef, tickets: &[(Kind, JobId)]) -> dispatch::Result<()> {
        self.up().await?;
        self.inner.remove(queue, tickets).await
    }
    async fn configure(&self, queue: &QueueRef, settings: &QueueSettings) -> dispatch::Result<()> {
        self.up().await?;
        self.inner.configure(queue, settings).await
    }
    async fn stats(&self, queue: &QueueRef, kinds: &[Kind]) -> dispatch::Result<QueueStats> {
        self.up().await?;
        self.inner.stats(queue, kinds).await
    }
    async fn leased(&self, queue: &QueueRef, tickets: &[(Kind, JobId)]) -> dispatch::Result<Vec<bool>> {
        self.up().await?;
        self.inner.leased(queue, tickets).await
    }
    async fn running(&self, queue: &QueueRef, kinds: &[Kind], limit: usize) -> dispatch::Result<Vec<JobId>> {
        self.up().await?;
        self.inner.running(queue, kinds, limit).await
    }
    async fn scan(
        &self,
        queue: &QueueRef,
        kinds: &[Kind],
        cursor: Option<&ScanCursor>,
        limit: usize,
    ) -> dispatch::Result<ScanPage> {
        self.up().await?;
        self.inner.scan(queue, kinds, cursor, limit).await
    }
    async fn wait(&self, worker: ProcessId, at_most: Duration) -> Vec<QueueRef> {
        self.inner.wait(worker, at_most).await
    }
    async fn wake(&self, queue: &QueueRef, kinds: &[Kind]) -> dispatch::Result<()> {
        self.up().await?;
        self.inner.wake(queue, kinds).await
    }
    async fn lost(&self, queues: &[QueueRef]) -> dispatch::Result<Vec<QueueRef>> {
        self.up().await?;
        self.inner.lost(queues).await
    }
    async fn begin_rebuild(
        &self,
        queue: &QueueRef,
        kinds: &[Kind],
        settings: &QueueSettings,
        hold: Duration,
    ) -> dispatch::Result<Option<RebuildToken>> {
        self.up().await?;
        self.inner.begin_rebuild(queue, kinds, settings, hold).await
    }
    async fn rebuild(
        &self,
        queue: &QueueRef,
        token: RebuildToken,
        tickets: &[Ticket],
        hold: Duration,
    ) -> dispatch::Result<bool> {
        self.up().await?;
        self.inner.rebuild(queue, token, tickets, hold).await
    }
    async fn finish_rebuild(
        &self,
        queue: &QueueRef,
        token: RebuildToken,
        settings: &QueueSettings,
    ) -> dispatch::Result<bool> {
        self.up().await?;
        self.inner.finish_rebuild(queue, token, settings).await
    }
}

/// A store of pace that fails on command.
pub(crate) struct FaultyPace {
    inner: Arc<dyn Pace>,
    /// Every call fails until this is false again.
    pub(crate) down: AtomicBool,
}

impl FaultyPace {
    pub(crate) fn new(inner: Arc<dyn Pace>) -> Self {
        Self { inner, down: AtomicBool::new(false) }
    }

    fn up(&self) -> pace::Result<&dyn Pace> {
        if self.down.load(Ordering::Relaxed) {
            return Err(PaceError::Unavailable("secret-host:6379 refused the connection".into()));
        }
        Ok(&*self.inner)
    }
}

#[async_trait]
impl Pace for FaultyPace {
    async fn enter(&self, entry: &Entry<'_>) -> pace::Result<Enter> {
        self.up()?.enter(entry).await
    }
    async fn extend(&self, permit: &Permit, rules: &Rules) -> pace::Result<bool> {
        self.up()?.extend(permit, rules).await
    }
    async fn leave(&self, permit: &Permit, verdict: Verdict, rules: &Rules) -> pace::Result<Left> {
        self.up()?.leave(permit, verdict, rules).await
    }
    async fn list(&self, limit: usize) -> pace::Result<Vec<Sight>> {
        self.up()?.list(limit).await
    }
    async fn page(&self, after: Option<&Destination>, limit: usize) -> pace::Result<Vec<Sight>> {
        self.up()?.page(after, limit).await
    }
    async fn look(&self, destination: &Destination) -> pace::Result<Option<Sight>> {
        self.up()?.look(destination).await
    }
    async fn reset(&self, destination: &Destination) -> pace::Result<bool> {
        self.up()?.reset(destination).await
    }
}
