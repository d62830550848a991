//! The ledger and the dispatch as one process sees them: over its ways, and under the eyes of the history.

use crate::{
    defects::Defects,
    history::History,
    link::{Link, Unavailable},
};
use async_trait::async_trait;
use futures::stream::BoxStream;
use haul_core::{
    Dispatch, FinalState, JobId, Kind, Ledger, ProcessId, QueueChange, QueueRef, QueueSettings, Tenant, Timestamp,
    dispatch::{
        self, Claim, ClaimRequest, DispatchError, Lease, QueueStats, RebuildToken, ScanCursor, ScanPage, Settlement,
        Ticket,
    },
    ledger::{self, *},
    outcome::JobRecord,
};
use std::{sync::Arc, time::Duration};

impl From<Unavailable> for LedgerError {
    fn from(_: Unavailable) -> Self {
        Self::Unavailable("the simulation cut the line".into())
    }
}

impl From<Unavailable> for DispatchError {
    fn from(_: Unavailable) -> Self {
        Self::Unavailable("the simulation cut the line".into())
    }
}

/// The ledger at the end of a way.
pub(crate) struct FarLedger {
    pub(crate) inner: Arc<dyn Ledger>,
    pub(crate) link: Arc<Link>,
    pub(crate) history: Arc<History>,
    pub(crate) defects: Arc<Defects>,
    pub(crate) process: ProcessId,
}

impl FarLedger {
    async fn call<T: Send + 'static, F>(
        &self,
        effect: impl FnOnce(Arc<dyn Ledger>, Arc<History>) -> F,
    ) -> ledger::Result<T>
    where
        F: Future<Output = ledger::Result<T>> + Send + 'static,
    {
        self.link.call(effect(self.inner.clone(), self.history.clone())).await?
    }
}

/// Shows the history what the ledger holds of these jobs now.
async fn look(ledger: &dyn Ledger, history: &History, defects: &Defects, jobs: impl Iterator<Item = (Tenant, JobId)>) {
    for (tenant, job) in jobs {
        if let Ok(Some(truth)) = ledger.job(&tenant, job).await {
            history.look(&defects.shown(truth));
        }
    }
}

#[async_trait]
impl Ledger for FarLedger {
    async fn now(&self) -> ledger::Result<Timestamp> {
        self.call(|ledger, _| async move { ledger.now().await }).await
    }

    async fn accept(&self, jobs: &[NewJob], owner: ProcessId, done: &[ReceiptId]) -> ledger::Result<BatchAccepted> {
        let (jobs, done) = (jobs.to_vec(), done.to_vec());
        self.call(move |ledger, history| async move {
            let accepted = ledger.accept(&jobs, owner, &done).await?;
            let new = jobs.iter().zip(&accepted.jobs).filter(|(_, accepted)| **accepted == Accepted::New);
            history.committed(owner, new.map(|(new, _)| new.job.id));
            Ok(accepted)
        })
        .await
    }

    async fn drop_receipts(&self, receipts: &[ReceiptId]) -> ledger::Result<()> {
        let receipts = receipts.to_vec();
        self.call(move |ledger, _| async move { ledger.drop_receipts(&receipts).await }).await
    }

    async fn release_receipts(&self, receipts: &[ReceiptId]) -> ledger::Result<()> {
        let receipts = receipts.to_vec();
        self.call(move |ledger, _| async move { ledger.release_receipts(&receipts).await }).await
    }

    async fn load(&self, ids: &[JobId]) -> ledger::Result<Vec<Loaded>> {
        let (ids, process) = (ids.to_vec(), self.process);
        self.call(move |ledger, history| async move {
            let loaded = ledger.load(&ids).await?;
            history.loaded(process, &loaded);
            Ok(loaded)
        })
        .await
    }

    async fn record(&self, records: &[Record], owner: ProcessId) -> ledger::Result<BatchRecorded> {
        self.history.sends(owner, records);
        let (records, defects) = (records.to_vec(), self.defects.clone());
        self.call(move |ledger, history| async move {
            let mut recorded = ledger.record(&records, owner).await?;
            defects.recorded(&records, &mut recorded.records);
            history.recorded(owner, &records, &recorded.records);
            for (record, answer) in records.iter().zip(&recorded.records) {
                if *answer == Recorded::Committed {
                    history.committed(owner, record.follow_ups.iter().map(|job| job.id));
                }
            }
            let jobs = records.into_iter().map(|record| (record.tenant, record.job));
            look(&*ledger, &history, &defects, jobs).await;
            Ok(recorded)
        })
        .await
    }

    async fn cancel(&self, tenant: &Tenant, ids: &[JobId], at: Timestamp) -> ledger::Result<Vec<Cancelled>> {
        let (tenant, ids, defects) = (tenant.clone(), ids.to_vec(), self.defects.clone());
        self.call(move |ledger, history| async move {
            let cancelled = ledger.cancel(&tenant, &ids, at).await?;
            look(&*ledger, &history, &defects, ids.into_iter().map(|id| (tenant.clone(), id))).await;
            Ok(cancelled)
        })
        .await
    }

    async fn settled(&self, ids: &[JobId]) -> ledger::Result<Vec<(JobId, FinalState)>> {
        let ids = ids.to_vec();
        self.call(move |ledger, _| async move { ledger.settled(&ids).await }).await
    }

    async fn job(&self, tenant: &Tenant, id: JobId) -> ledger::Result<Option<JobRecord>> {
        let tenant = tenant.clone();
        self.call(move |ledger, _| async move { ledger.job(&tenant, id).await }).await
    }

    async fn list(
        &self,
        tenant: &Tenant,
        filter: &Filter,
        before: Option<JobId>,
        limit: usize,
    ) -> ledger::Result<Page> {
        let (tenant, filter) = (tenant.clone(), filter.clone());
        self.call(move |ledger, _| async move { ledger.list(&tenant, &filter, before, limit).await }).await
    }

    async fn queues(&self) -> ledger::Result<Vec<QueueInfo>> {
        self.call(|ledger, _| async move { ledger.queues().await }).await
    }

    async fn configure_queue(&self, queue: &QueueRef, change: &QueueChange) -> ledger::Result<Option<QueueSettings>> {
        let (queue, change) = (queue.clone(), *change);
        self.call(move |ledger, _| async move { ledger.configure_queue(&queue, &change).await }).await
    }

    async fn heartbeat(&self, process: &ProcessInfo) -> ledger::Result<()> {
        let process = process.clone();
        self.call(move |ledger, _| async move { ledger.heartbeat(&process).await }).await
    }

    async fn take_receipts(&self, taker: ProcessId, limit: usize) -> ledger::Result<Vec<Receipt>> {
        self.call(move |ledger, _| async move { ledger.take_receipts(taker, limit).await }).await
    }

    async fn unsettled(
        &self,
        after: Option<JobId>,
        last: Option<JobId>,
        limit: usize,
    ) -> ledger::Result<UnsettledPage> {
        let defects = self.defects.clone();
        self.call(move |ledger, history| async move {
            let page = ledger.unsettled(after, last, limit).await?;
            Ok(defects.unsettled(page, history.clock()))
        })
        .await
    }

    async fn reopen(&self, first: JobId, last: JobId) -> ledger::Result<()> {
        self.call(move |ledger, _| async move { ledger.reopen(first, last).await }).await
    }

    async fn close_minutes(&self) -> ledger::Result<u64> {
        self.call(|ledger, _| async move { ledger.close_minutes().await }).await
    }

    async fn prepare_ahead(&self) -> ledger::Result<()> {
        self.call(|ledger, _| async move { ledger.prepare_ahead().await }).await
    }

    fn events(&self) -> BoxStream<'static, ()> {
        self.inner.events()
    }
}

/// The dispatch at the end of a way.
pub(crate) struct FarDispatch {
    pub(crate) inner: Arc<dyn Dispatch>,
    pub(crate) link: Arc<Link>,
    pub(crate) history: Arc<History>,
    pub(crate) defects: Arc<Defects>,
    pub(crate) process: ProcessId,
}

impl FarDispatch {
    async fn call<T: Send + 'static, F>(
        &self,
        effect: impl FnOnce(Arc<dyn Dispatch>, Arc<History>, ProcessId) -> F,
    ) -> dispatch::Result<T>
    where
        F: Future<Output = dispatch::Result<T>> + Send + 'static,
    {
        self.link.call(effect(self.inner.clone(), self.history.clone(), self.process)).await?
    }
}

#[async_trait]
impl Dispatch for FarDispatch {
    async fn enqueue(&self, queue: &QueueRef, tickets: &[Ticket]) -> dispatch::Result<()> {
        let (queue, tickets) = (queue.clone(), tickets.to_vec());
        self.call(move |dispatch, _, _| async move { dispatch.enqueue(&queue, &tickets).await }).await
    }

    async fn claim(&self, request: &ClaimRequest<'_>) -> dispatch::Result<Claim> {
        let (queue, kinds) = (request.queue.clone(), request.kinds.to_vec());
        let ClaimRequest { limit, worker, token, lease, .. } = *request;
        let defects = self.defects.clone();
        self.call(move |dispatch, history, process| async move {
            let request = ClaimRequest { queue: &queue, kinds: &kinds, limit, worker, token, lease };
            let claim = dispatch.claim(&request).await?;
            history.claimed(process, token, &claim.tickets);
            defects.claimed(&*dispatch, &queue, token, &claim).await?;
            Ok(claim)
        })
        .await
    }

    async fn extend(&self, queue: &QueueRef, leases: &[Lease], lease: Duration) -> dispatch::Result<Vec<bool>> {
        let (queue, leases, defects) = (queue.clone(), leases.to_vec(), self.defects.clone());
        self.call(move |dispatch, history, process| async move {
            let held = dispatch.extend(&queue, &leases, lease).await?;
            for (lease, is_held) in leases.iter().zip(&held) {
                history.extended(process, lease.id, lease.token, *is_held);
            }
            Ok(defects.extended(held))
        })
        .await
    }

    async fn settle(&self, queue: &QueueRef, settlements: &[Settlement]) -> dispatch::Result<()> {
        let (queue, settlements) = (queue.clone(), settlements.to_vec());
        self.call(move |dispatch, history, process| async move {
            dispatch.settle(&queue, &settlements).await?;
            settlements.iter().for_each(|settlement| history.settled(process, settlement));
            Ok(())
        })
        .await
    }

    async fn remove(&self, queue: &QueueRef, tickets: &[(Kind, JobId)]) -> dispatch::Result<()> {
        let (queue, tickets) = (queue.clone(), tickets.to_vec());
        self.call(move |dispatch, _, _| async move { dispatch.remove(&queue, &tickets).await }).await
    }

    async fn configure(&self, queue: &QueueRef, settings: &QueueSettings) -> dispatch::Result<()> {
        let (queue, settings) = (queue.clone(), *settings);
        self.call(move |dispatch, _, _| async move { dispatch.configure(&queue, &settings).await }).await
    }

    async fn stats(&self, queue: &QueueRef, kinds: &[Kind]) -> dispatch::Result<QueueStats> {
        let (queue, kinds) = (queue.clone(), kinds.to_vec());
        self.call(move |dispatch, _, _| async move { dispatch.stats(&queue, &kinds).await }).await
    }

    async fn leased(&self, queue: &QueueRef, tickets: &[(Kind, JobId)]) -> dispatch::Result<Vec<bool>> {
        let (queue, tickets) = (queue.clone(), tickets.to_vec());
        self.call(move |dispatch, _, _| async move { dispatch.leased(&queue, &tickets).await }).await
    }

    async fn scan(
        &self,
        queue: &QueueRef,
        kinds: &[Kind],
        cursor: Option<&ScanCursor>,
        limit: usize,
    ) -> dispatch::Result<ScanPage> {
        let (queue, kinds, cursor) = (queue.clone(), kinds.to_vec(), cursor.cloned());
        self.call(move |dispatch, _, _| async move { dispatch.scan(&queue, &kinds, cursor.as_ref(), limit).await })
            .await
    }

    async fn running(&self, queue: &QueueRef, kinds: &[Kind], limit: usize) -> dispatch::Result<Vec<JobId>> {
        let (queue, kinds) = (queue.clone(), kinds.to_vec());
        self.call(move |dispatch, _, _| async move { dispatch.running(&queue, &kinds, limit).await }).await
    }

    async fn wait(&self, worker: ProcessId, at_most: Duration) -> Vec<QueueRef> {
        self.link.wait(at_most, self.inner.wait(worker, at_most)).await
    }

    async fn wake(&self, queue: &QueueRef, kinds: &[Kind]) -> dispatch::Result<()> {
        let (queue, kinds) = (queue.clone(), kinds.to_vec());
        self.call(move |dispatch, _, _| async move { dispatch.wake(&queue, &kinds).await }).await
    }

    async fn lost(&self, queues: &[QueueRef]) -> dispatch::Result<Vec<QueueRef>> {
        let queues = queues.to_vec();
        self.call(move |dispatch, _, _| async move { dispatch.lost(&queues).await }).await
    }

    async fn begin_rebuild(
        &self,
        queue: &QueueRef,
        kinds: &[Kind],
        settings: &QueueSettings,
        hold: Duration,
    ) -> dispatch::Result<Option<RebuildToken>> {
        let (queue, kinds, settings) = (queue.clone(), kinds.to_vec(), *settings);
        self.call(move |dispatch, _, _| async move { dispatch.begin_rebuild(&queue, &kinds, &settings, hold).await })
            .await
    }

    async fn rebuild(
        &self,
        queue: &QueueRef,
        token: RebuildToken,
        tickets: &[Ticket],
        hold: Duration,
    ) -> dispatch::Result<bool> {
        let (queue, tickets) = (queue.clone(), tickets.to_vec());
        self.call(move |dispatch, _, _| async move { dispatch.rebuild(&queue, token, &tickets, hold).await }).await
    }

    async fn finish_rebuild(
        &self,
        queue: &QueueRef,
        token: RebuildToken,
        settings: &QueueSettings,
    ) -> dispatch::Result<bool> {
        let (queue, settings) = (queue.clone(), *settings);
        self.call(move |dispatch, _, _| async move { dispatch.finish_rebuild(&queue, token, &settings).await }).await
    }
}
