//! A ledger that counts and keeps every promise but one.

use async_trait::async_trait;
use haul_conformance::reference::ReferenceLedger;
use haul_core::{
    Kind, QueueRef, Statistics, Timestamp,
    ledger::Result,
    maintenance::Progress,
    statistics::{HOUR, Hour},
};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// The promise that is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Defect {
    NeverCounts,
    SaysThatNothingIsLeft,
    AddsUp,
    MixesKinds,
    IncludesTheEnd,
    ExpiresTooMuch,
}
use Defect::*;

pub(crate) struct BrokenStatistics {
    inner: Arc<ReferenceLedger>,
    defect: Defect,
    counts: AtomicU64,
}

impl BrokenStatistics {
    pub(crate) fn new(inner: Arc<ReferenceLedger>, defect: Defect) -> Self {
        Self { inner, defect, counts: AtomicU64::new(0) }
    }
}

#[async_trait]
impl Statistics for BrokenStatistics {
    async fn count_hour(&self) -> Result<Progress> {
        if self.defect == NeverCounts {
            return Ok(Progress::default());
        }
        let mut progress = self.inner.count_hour().await?;
        self.counts.fetch_add(u64::from(progress.done > 0), Ordering::Relaxed);
        if self.defect == SaysThatNothingIsLeft {
            progress.more = false;
        }
        Ok(progress)
    }

    async fn expire_hours(&self, before: Timestamp, limit: usize) -> Result<Progress> {
        let before = if self.defect == ExpiresTooMuch { before.plus(HOUR) } else { before };
        self.inner.expire_hours(before, limit).await
    }

    async fn hours(&self, queue: &QueueRef, kind: Option<&Kind>, from: Timestamp, to: Timestamp) -> Result<Vec<Hour>> {
        let kind = kind.filter(|_| self.defect != MixesKinds);
        let to = if self.defect == IncludesTheEnd { to.plus(HOUR) } else { to };
        let mut hours = self.inner.hours(queue, kind, from, to).await?;
        if self.defect == AddsUp {
            for hour in &mut hours {
                hour.figures.accepted *= self.counts.load(Ordering::Relaxed);
            }
        }
        Ok(hours)
    }
}
