//! The statistics behind a door that opens once.

use super::Closed;
use async_trait::async_trait;
use haul_core::{
    Kind, QueueRef, Statistics, Timestamp,
    ledger::{LedgerError, Result},
    maintenance::Progress,
    statistics::Hour,
};
use std::sync::{Arc, OnceLock};

/// Statistics that are not reached yet, or are.
#[derive(Default)]
pub(crate) struct StatisticsDoor(OnceLock<Arc<dyn Statistics>>);

impl StatisticsDoor {
    /// From now on these answer; the first ones that are given stay.
    pub(crate) fn open(&self, statistics: Arc<dyn Statistics>) {
        self.0.get_or_init(|| statistics);
    }

    fn behind(&self) -> Result<&dyn Statistics> {
        let closed = || LedgerError::Unavailable(Box::new(Closed("it was not reached yet")));
        self.0.get().map(|statistics| &**statistics).ok_or_else(closed)
    }
}

#[async_trait]
impl Statistics for StatisticsDoor {
    async fn count_hour(&self) -> Result<Progress> {
        self.behind()?.count_hour().await
    }
    async fn expire_hours(&self, before: Timestamp, limit: usize) -> Result<Progress> {
        self.behind()?.expire_hours(before, limit).await
    }
    async fn hours(&self, queue: &QueueRef, kind: Option<&Kind>, from: Timestamp, to: Timestamp) -> Result<Vec<Hour>> {
        self.behind()?.hours(queue, kind, from, to).await
    }
}
