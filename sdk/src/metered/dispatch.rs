//! The dispatch, measured. Waiting for wake-ups is no call.

use super::{Call, calls};
use async_trait::async_trait;
use haul_core::{
    Dispatch, JobId, Kind, ProcessId, QueueRef, QueueSettings,
    dispatch::{
        Chore, Claim, ClaimRequest, Lease, QueueStats, RebuildToken, Result, ScanCursor, ScanPage, Settlement, Ticket,
    },
};
use std::{sync::Arc, time::Duration};

calls!({ enqueue, claim, extend, settle, remove, configure, stats, leased, running, scan, wake, turn, lost, begin_rebuild, rebuild, finish_rebuild });

/// Has a dispatch measured.
pub(crate) struct MeteredDispatch {
    inner: Arc<dyn Dispatch>,
    calls: Calls,
}

impl MeteredDispatch {
    pub(crate) fn new(inner: Arc<dyn Dispatch>) -> Self {
        Self { inner, calls: Calls::new(Call::of_dispatch) }
    }
}

#[async_trait]
impl Dispatch for MeteredDispatch {
    async fn enqueue(&self, queue: &QueueRef, tickets: &[Ticket]) -> Result<()> {
        self.calls.enqueue.time(self.inner.enqueue(queue, tickets)).await
    }
    async fn claim(&self, request: &ClaimRequest<'_>) -> Result<Claim> {
        self.calls.claim.time(self.inner.claim(request)).await
    }
    async fn extend(&self, queue: &QueueRef, leases: &[Lease], lease: Duration) -> Result<Vec<bool>> {
        self.calls.extend.time(self.inner.extend(queue, leases, lease)).await
    }
    async fn settle(&self, queue: &QueueRef, settlements: &[Settlement]) -> Result<()> {
        self.calls.settle.time(self.inner.settle(queue, settlements)).await
    }
    async fn remove(&self, queue: &QueueRef, tickets: &[(Kind, JobId)]) -> Result<()> {
        self.calls.remove.time(self.inner.remove(queue, tickets)).await
    }
    async fn configure(&self, queue: &QueueRef, settings: &QueueSettings) -> Result<()> {
        self.calls.configure.time(self.inner.configure(queue, settings)).await
    }
    async fn stats(&self, queue: &QueueRef, kinds: &[Kind]) -> Result<QueueStats> {
        self.calls.stats.time(self.inner.stats(queue, kinds)).await
    }
    async fn leased(&self, queue: &QueueRef, tickets: &[(Kind, JobId)]) -> Result<Vec<bool>> {
        self.calls.leased.time(self.inner.leased(queue, tickets)).await
    }
    async fn running(&self, queue: &QueueRef, kinds: &[Kind], limit: usize) -> Result<Vec<JobId>> {
        self.calls.running.time(self.inner.running(queue, kinds, limit)).await
    }
    async fn scan(
        &self,
        queue: &QueueRef,
        kinds: &[Kind],
        cursor: Option<&ScanCursor>,
        limit: usize,
    ) -> Result<ScanPage> {
        self.calls.scan.time(self.inner.scan(queue, kinds, cursor, limit)).await
    }
    async fn wait(&self, worker: ProcessId, at_most: Duration) -> Vec<QueueRef> {
        self.inner.wait(worker, at_most).await
    }
    async fn wake(&self, queue: &QueueRef, kinds: &[Kind]) -> Result<()> {
        self.calls.wake.time(self.inner.wake(queue, kinds)).await
    }
    async fn turn(&self, chore: Chore, every: Duration) -> Result<bool> {
        self.calls.turn.time(self.inner.turn(chore, every)).await
    }
    async fn lost(&self, queues: &[QueueRef]) -> Result<Vec<QueueRef>> {
        self.calls.lost.time(self.inner.lost(queues)).await
    }
    async fn begin_rebuild(
        &self,
        queue: &QueueRef,
        kinds: &[Kind],
        settings: &QueueSettings,
        hold: Duration,
    ) -> Result<Option<RebuildToken>> {
        self.calls.begin_rebuild.time(self.inner.begin_rebuild(queue, kinds, settings, hold)).await
    }
    async fn rebuild(&self, queue: &QueueRef, token: RebuildToken, tickets: &[Ticket], hold: Duration) -> Result<bool> {
        self.calls.rebuild.time(self.inner.rebuild(queue, token, tickets, hold)).await
    }
    async fn finish_rebuild(&self, queue: &QueueRef, token: RebuildToken, settings: &QueueSettings) -> Result<bool> {
        self.calls.finish_rebuild.time(self.inner.finish_rebuild(queue, token, settings)).await
    }
}
