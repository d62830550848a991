//! A ledger's maintenance that keeps every promise but one.

use async_trait::async_trait;
use haul_conformance::reference::ReferenceLedger;
use haul_core::{
    FinalState, JobError, JobId, Ledger, Maintenance, Tenant, Timestamp,
    ledger::{Entry, Filter, Record, Result, StateFilter},
    maintenance::{Progress, Retained, Retention},
};
use std::sync::Arc;

/// The promise that is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Defect {
    DropsWhatIsUnfinished,
    DropsYoungDays,
    NeverDrops,
    NeverCloses,
    NeverEnds,
    KeepsPayloads,
    ErasesWhatIsUnfinished,
    ErasesYoungPayloads,
    KeepsExpiredKeys,
    ForgetsMoreKeysThanAsked,
}
use Defect::*;

pub(crate) struct BrokenMaintenance {
    inner: Arc<ReferenceLedger>,
    defect: Defect,
}

impl BrokenMaintenance {
    pub(crate) fn new(inner: Arc<ReferenceLedger>, defect: Defect) -> Self {
        Self { inner, defect }
    }

    /// Ends what has not ended before this, as if it had done so long ago.
    async fn end_before(&self, before: JobId) -> Result<()> {
        let unsettled = self.inner.unsettled(None, before.before(), 10_000).await?;
        let ids: Vec<JobId> = unsettled.jobs.iter().map(|job| job.id).collect();
        let record = |id: &JobId| Record {
            job: *id,
            tenant: Tenant::default(),
            attempt: 1,
            at: id.created_at(),
            entry: Entry::Dead(JobError::new("too old")),
            follow_ups: Vec::new(),
        };
        let records: Vec<Record> = ids.iter().map(record).collect();
        self.inner.record(&records, haul_core::ProcessId::NOBODY).await?;
        Ok(())
    }

    async fn ended(&self) -> Result<usize> {
        let mut ended = 0;
        for state in [FinalState::Succeeded, FinalState::Dead] {
            let filter = Filter { state: Some(StateFilter::Final(state)), ..Filter::default() };
            ended += self.inner.list(&Tenant::default(), &filter, None, 1_000).await?.jobs.len();
        }
        Ok(ended)
    }
}

#[async_trait]
impl Maintenance for BrokenMaintenance {
    async fn retain(&self, retention: &Retention) -> Result<Retained> {
        let now = self.inner.now().await?;
        match self.defect {
            DropsWhatIsUnfinished => self.end_before(retention.keeps_from(now)).await?,
            DropsYoungDays => return self.inner.retain(&Retention::days(1)).await,
            NeverDrops => return self.inner.retain(&Retention::days(10_000)).await,
            NeverCloses => return Ok(Retained::default()),
            NeverEnds => return Ok(Retained { more: true, ..self.inner.retain(retention).await? }),
            _ => {}
        }
        self.inner.retain(retention).await
    }

    async fn erase_payloads(&self, before: Timestamp) -> Result<Progress> {
        match self.defect {
            KeepsPayloads => Ok(Progress { done: self.ended().await? as u64, more: false }),
            ErasesWhatIsUnfinished => {
                self.end_before(JobId::floor(before)).await?;
                self.inner.erase_payloads(before).await
            }
            ErasesYoungPayloads => self.inner.erase_payloads(self.inner.now().await?).await,
            _ => self.inner.erase_payloads(before).await,
        }
    }

    async fn expire_keys(&self, limit: usize) -> Result<Progress> {
        match self.defect {
            KeepsExpiredKeys => Ok(Progress::default()),
            ForgetsMoreKeysThanAsked => self.inner.expire_keys(1_000).await,
            _ => self.inner.expire_keys(limit).await,
        }
    }

    async fn analyze(&self) -> Result<Progress> {
        self.inner.analyze().await
    }
}
