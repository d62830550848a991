//! A store of schedules whose `fire` can be held up, and can lose its answer.

use async_trait::async_trait;
use haul_conformance::reference::ReferenceLedger;
use haul_core::{
    ProcessId, ScheduleName, Schedules, Tenant,
    ledger::{LedgerError, ReceiptId, Result},
    schedules::{Agenda, BatchFired, Changed, Created, Edit, NewSchedule, Schedule, ScheduleId, ScheduleRef, Step},
};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use tokio::sync::Semaphore;

pub(crate) struct Faulty {
    inner: Arc<dyn Schedules>,
    /// Calls of `fire` that have arrived.
    pub(crate) arrived: Semaphore,
    /// Calls of `fire` that may go on.
    pub(crate) may_pass: Semaphore,
    /// Answers that are still to be lost.
    pub(crate) lost_answers: AtomicUsize,
}

impl Faulty {
    pub(crate) fn new(inner: Arc<ReferenceLedger>) -> Arc<Self> {
        let (arrived, may_pass) = (Semaphore::new(0), Semaphore::new(Semaphore::MAX_PERMITS / 2));
        Arc::new(Self { inner, arrived, may_pass, lost_answers: AtomicUsize::new(0) })
    }

    /// As a process that is stopped just before it fires, until [`Faulty::go_on`].
    pub(crate) fn stop(&self) {
        self.may_pass.forget_permits(Semaphore::MAX_PERMITS);
    }

    pub(crate) fn go_on(&self) {
        self.may_pass.add_permits(1_000);
    }
}

#[async_trait]
impl Schedules for Faulty {
    async fn create(&self, new: &NewSchedule, schedules_max: usize) -> Result<Created> {
        self.inner.create(new, schedules_max).await
    }
    async fn create_once(&self, new: &NewSchedule) -> Result<bool> {
        self.inner.create_once(new).await
    }
    async fn get(&self, key: &ScheduleRef) -> Result<Option<Schedule>> {
        self.inner.get(key).await
    }
    async fn list(&self, tenant: &Tenant, after: Option<&ScheduleName>, limit: usize) -> Result<Vec<Schedule>> {
        self.inner.list(tenant, after, limit).await
    }
    async fn load(&self, ids: &[ScheduleId]) -> Result<Vec<Schedule>> {
        self.inner.load(ids).await
    }
    async fn edit(&self, edit: &Edit) -> Result<Changed> {
        self.inner.edit(edit).await
    }
    async fn set_paused(&self, key: &ScheduleRef, version: Option<i64>, paused: bool) -> Result<Changed> {
        self.inner.set_paused(key, version, paused).await
    }
    async fn delete(&self, key: &ScheduleRef, version: Option<i64>) -> Result<Changed> {
        self.inner.delete(key, version).await
    }
    async fn due(&self, limit: usize) -> Result<Agenda> {
        self.inner.due(limit).await
    }
    async fn fire(&self, steps: &[Step], owner: ProcessId, done: &[ReceiptId]) -> Result<BatchFired> {
        self.arrived.add_permits(1);
        if let Ok(permit) = self.may_pass.acquire().await {
            permit.forget();
        }
        let fired = self.inner.fire(steps, owner, done).await?;
        let is_lost = self.lost_answers.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        match is_lost {
            Ok(_) => Err(LedgerError::Unavailable("the connection is lost".into())),
            Err(_) => Ok(fired),
        }
    }
}
