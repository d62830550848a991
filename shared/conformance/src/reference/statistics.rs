//! The reference ledger's statistics.

use super::ReferenceLedger;
use async_trait::async_trait;
use haul_core::{Kind, QueueRef, Statistics, Timestamp, ledger::Result, maintenance::Progress, statistics::Hour};

#[async_trait]
impl Statistics for ReferenceLedger {
    async fn count_hour(&self) -> Result<Progress> {
        Ok(self.state.lock().count_hour(self.clock.now()))
    }

    async fn expire_hours(&self, before: Timestamp, limit: usize) -> Result<Progress> {
        Ok(self.state.lock().expire_hours(before, limit))
    }

    async fn hours(&self, queue: &QueueRef, kind: Option<&Kind>, from: Timestamp, to: Timestamp) -> Result<Vec<Hour>> {
        Ok(self.state.lock().hours(queue, kind, from, to))
    }
}
