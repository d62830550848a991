//! The reference ledger's fleet.

use super::ReferenceLedger;
use async_trait::async_trait;
use haul_core::{
    Fleet, ProcessId,
    fleet::{Member, Receipts, Report},
    ledger::Result,
};

#[async_trait]
impl Fleet for ReferenceLedger {
    async fn report(&self, report: &Report) -> Result<()> {
        self.state.lock().report(self.rule_time(), report.clone());
        Ok(())
    }

    async fn alive(&self, after: Option<ProcessId>, limit: usize) -> Result<Vec<Member>> {
        Ok(self.state.lock().alive(self.rule_time(), after, limit))
    }

    async fn receipts(&self) -> Result<Receipts> {
        Ok(self.state.lock().count_receipts())
    }
}
