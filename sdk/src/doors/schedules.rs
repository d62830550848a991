//! The schedules behind a door that opens once.

use super::Closed;
use async_trait::async_trait;
use haul_core::{
    ProcessId, ScheduleName, Schedules, Tenant,
    ledger::{LedgerError, ReceiptId, Result},
    schedules::{Agenda, BatchFired, Changed, Created, Edit, NewSchedule, Schedule, ScheduleId, ScheduleRef, Step},
};
use std::sync::{Arc, OnceLock};

/// Schedules that are not reached yet, or are.
#[derive(Default)]
pub(crate) struct SchedulesDoor(OnceLock<Arc<dyn Schedules>>);

impl SchedulesDoor {
    /// From now on these answer; the first ones that are given stay.
    pub(crate) fn open(&self, schedules: Arc<dyn Schedules>) {
        self.0.get_or_init(|| schedules);
    }

    fn behind(&self) -> Result<&dyn Schedules> {
        let closed = || LedgerError::Unavailable(Box::new(Closed("it was not reached yet")));
        self.0.get().map(|schedules| &**schedules).ok_or_else(closed)
    }
}

#[async_trait]
impl Schedules for SchedulesDoor {
    async fn create(&self, new: &NewSchedule, schedules_max: usize) -> Result<Created> {
        self.behind()?.create(new, schedules_max).await
    }
    async fn create_once(&self, new: &NewSchedule) -> Result<bool> {
        self.behind()?.create_once(new).await
    }
    async fn get(&self, key: &ScheduleRef) -> Result<Option<Schedule>> {
        self.behind()?.get(key).await
    }
    async fn list(&self, tenant: &Tenant, after: Option<&ScheduleName>, limit: usize) -> Result<Vec<Schedule>> {
        self.behind()?.list(tenant, after, limit).await
    }
    async fn load(&self, ids: &[ScheduleId]) -> Result<Vec<Schedule>> {
        self.behind()?.load(ids).await
    }
    async fn edit(&self, edit: &Edit) -> Result<Changed> {
        self.behind()?.edit(edit).await
    }
    async fn set_paused(&self, key: &ScheduleRef, version: Option<i64>, paused: bool) -> Result<Changed> {
        self.behind()?.set_paused(key, version, paused).await
    }
    async fn delete(&self, key: &ScheduleRef, version: Option<i64>) -> Result<Changed> {
        self.behind()?.delete(key, version).await
    }
    async fn due(&self, limit: usize) -> Result<Agenda> {
        self.behind()?.due(limit).await
    }
    async fn fire(&self, steps: &[Step], owner: ProcessId, done: &[ReceiptId]) -> Result<BatchFired> {
        self.behind()?.fire(steps, owner, done).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn schedules_that_are_not_reached_yet_are_a_store_that_is_down() {
        let door = SchedulesDoor::default();
        let error = door.due(1).await.unwrap_err();
        assert!(error.is_transient(), "{error}");
    }
}
