//! The store of pace behind a door that opens once.

use super::Closed;
use async_trait::async_trait;
use haul_core::{
    Pace,
    pace::{Destination, Enter, Entry, Left, PaceError, Permit, Result, Rules, Sight, Verdict},
};
use std::sync::{Arc, OnceLock};

/// A store of pace that is not reached yet, or is.
#[derive(Default)]
pub(crate) struct PaceDoor(OnceLock<Arc<dyn Pace>>);

impl PaceDoor {
    /// From now on this one answers; the first one that is given stays.
    pub(crate) fn open(&self, pace: Arc<dyn Pace>) {
        self.0.get_or_init(|| pace);
    }

    fn behind(&self) -> Result<&dyn Pace> {
        let closed = || PaceError::Unavailable(Box::new(Closed("it was not reached yet")));
        self.0.get().map(|pace| &**pace).ok_or_else(closed)
    }
}

#[async_trait]
impl Pace for PaceDoor {
    async fn enter(&self, entry: &Entry<'_>) -> Result<Enter> {
        self.behind()?.enter(entry).await
    }
    async fn extend(&self, permit: &Permit, rules: &Rules) -> Result<bool> {
        self.behind()?.extend(permit, rules).await
    }
    async fn leave(&self, permit: &Permit, verdict: Verdict, rules: &Rules) -> Result<Left> {
        self.behind()?.leave(permit, verdict, rules).await
    }
    async fn list(&self, limit: usize) -> Result<Vec<Sight>> {
        self.behind()?.list(limit).await
    }
    async fn page(&self, after: Option<&Destination>, limit: usize) -> Result<Vec<Sight>> {
        self.behind()?.page(after, limit).await
    }
    async fn look(&self, destination: &Destination) -> Result<Option<Sight>> {
        self.behind()?.look(destination).await
    }
    async fn reset(&self, destination: &Destination) -> Result<bool> {
        self.behind()?.reset(destination).await
    }
}
