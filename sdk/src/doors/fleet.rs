//! The fleet behind a door that opens once.

use super::Closed;
use async_trait::async_trait;
use haul_core::{
    Fleet, ProcessId,
    fleet::{Member, Receipts, Report},
    ledger::{LedgerError, Result},
};
use std::sync::{Arc, OnceLock};

/// A fleet that is not reached yet, or is.
#[derive(Default)]
pub(crate) struct FleetDoor(OnceLock<Arc<dyn Fleet>>);

impl FleetDoor {
    /// From now on this one answers; the first one that is given stays.
    pub(crate) fn open(&self, fleet: Arc<dyn Fleet>) {
        self.0.get_or_init(|| fleet);
    }

    fn behind(&self) -> Result<&dyn Fleet> {
        let closed = || LedgerError::Unavailable(Box::new(Closed("it was not reached yet")));
        self.0.get().map(|fleet| &**fleet).ok_or_else(closed)
    }
}

#[async_trait]
impl Fleet for FleetDoor {
    async fn report(&self, report: &Report) -> Result<()> {
        self.behind()?.report(report).await
    }
    async fn alive(&self, after: Option<ProcessId>, limit: usize) -> Result<Vec<Member>> {
        self.behind()?.alive(after, limit).await
    }
    async fn receipts(&self) -> Result<Receipts> {
        self.behind()?.receipts().await
    }
}
