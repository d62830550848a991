//! The reference ledger as a store of schedules.

use super::ReferenceLedger;
use async_trait::async_trait;
use haul_core::{
    ProcessId, ScheduleName, Schedules, Tenant,
    ledger::{ReceiptId, Result},
    schedules::{Agenda, BatchFired, Changed, Created, Edit, NewSchedule, Schedule, ScheduleId, ScheduleRef, Step},
};

#[async_trait]
impl Schedules for ReferenceLedger {
    async fn create(&self, new: &NewSchedule, schedules_max: usize) -> Result<Created> {
        Ok(self.state.lock().create_schedule(self.clock.now(), new, schedules_max))
    }
    async fn create_once(&self, new: &NewSchedule) -> Result<bool> {
        Ok(self.state.lock().create_schedule_once(self.clock.now(), new))
    }
    async fn get(&self, key: &ScheduleRef) -> Result<Option<Schedule>> {
        Ok(self.state.lock().schedule(key))
    }
    async fn list(&self, tenant: &Tenant, after: Option<&ScheduleName>, limit: usize) -> Result<Vec<Schedule>> {
        Ok(self.state.lock().list_schedules(tenant, after, limit))
    }
    async fn load(&self, ids: &[ScheduleId]) -> Result<Vec<Schedule>> {
        Ok(self.state.lock().load_schedules(ids))
    }
    async fn edit(&self, edit: &Edit) -> Result<Changed> {
        Ok(self.state.lock().edit_schedule(self.clock.now(), edit))
    }
    async fn set_paused(&self, key: &ScheduleRef, version: Option<i64>, paused: bool) -> Result<Changed> {
        Ok(self.state.lock().pause_schedule(self.clock.now(), key, version, paused))
    }
    async fn delete(&self, key: &ScheduleRef, version: Option<i64>) -> Result<Changed> {
        Ok(self.state.lock().delete_schedule(key, version))
    }
    async fn due(&self, limit: usize) -> Result<Agenda> {
        Ok(self.state.lock().due_schedules(self.clock.now(), limit))
    }
    async fn fire(&self, steps: &[Step], owner: ProcessId, done: &[ReceiptId]) -> Result<BatchFired> {
        self.state.lock().fire(self.rule_time(), steps, owner, done)
    }
}
