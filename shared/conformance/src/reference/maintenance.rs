//! The reference ledger's maintenance.

use super::ReferenceLedger;
use async_trait::async_trait;
use haul_core::{
    Maintenance, Timestamp,
    ledger::Result,
    maintenance::{Progress, Retained, Retention},
};

#[async_trait]
impl Maintenance for ReferenceLedger {
    async fn retain(&self, retention: &Retention) -> Result<Retained> {
        Ok(self.state.lock().retain(self.clock.now(), retention))
    }

    async fn erase_payloads(&self, before: Timestamp) -> Result<Progress> {
        Ok(self.state.lock().erase_payloads(before))
    }

    async fn expire_keys(&self, limit: usize) -> Result<Progress> {
        Ok(self.state.lock().expire_keys(self.rule_time(), limit))
    }

    /// Nothing to do: nothing is planned.
    async fn analyze(&self) -> Result<Progress> {
        Ok(Progress::default())
    }
}
