//! A ledger that keeps a fleet and every promise but one.

use async_trait::async_trait;
use haul_conformance::reference::ReferenceLedger;
use haul_core::{
    Fleet, Ledger, ProcessId,
    fleet::{About, Member, Receipts, Report},
    ledger::{ProcessInfo, Result},
};
use parking_lot::Mutex;
use std::{collections::BTreeMap, sync::Arc};

/// The promise that is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Defect {
    ForgetsTheWork,
    KeepsTheFirstReport,
    BeginsAnew,
    NeverBuries,
    IncludesTheCursor,
    IgnoresTheLimit,
    ReportsWithoutABeat,
    CountsOwnedReceiptsOnly,
    TellsTheYoungest,
}
use Defect::*;

pub(crate) struct BrokenFleet {
    inner: Arc<ReferenceLedger>,
    defect: Defect,
    /// Of those who were ever heard of, what was shown last.
    shown: Mutex<BTreeMap<ProcessId, Member>>,
}

impl BrokenFleet {
    pub(crate) fn new(inner: Arc<ReferenceLedger>, defect: Defect) -> Self {
        Self { inner, defect, shown: Mutex::default() }
    }
}

#[async_trait]
impl Fleet for BrokenFleet {
    async fn report(&self, report: &Report) -> Result<()> {
        let known = self.shown.lock().contains_key(&report.id);
        match self.defect {
            ForgetsTheWork => {
                let about = About { work: None, ..report.about.clone() };
                self.inner.report(&Report { about, ..report.clone() }).await
            }
            KeepsTheFirstReport if known => {
                self.inner.heartbeat(&ProcessInfo { id: report.id, role: report.role.clone() }).await
            }
            ReportsWithoutABeat => {
                let now = self.inner.now().await?;
                let member = Member { report: report.clone(), since: now, seen: now };
                self.shown.lock().insert(report.id, member);
                Ok(())
            }
            _ => {
                self.inner.report(report).await?;
                for member in self.inner.alive(None, 1_000).await? {
                    self.shown.lock().entry(member.report.id).or_insert(member);
                }
                Ok(())
            }
        }
    }

    async fn alive(&self, after: Option<ProcessId>, limit: usize) -> Result<Vec<Member>> {
        let limit = if self.defect == IgnoresTheLimit { 1_000 } else { limit };
        if matches!(self.defect, NeverBuries | ReportsWithoutABeat) {
            let shown = self.shown.lock();
            let after = shown.values().filter(|member| after.is_none_or(|after| member.report.id > after));
            return Ok(after.take(limit).cloned().collect());
        }
        let mut members = self.inner.alive(after, limit).await?;
        match self.defect {
            IncludesTheCursor => {
                let cursor = after.and_then(|after| self.shown.lock().get(&after).cloned());
                if !members.is_empty() {
                    members.splice(0..0, cursor);
                    members.truncate(limit.max(2));
                }
            }
            BeginsAnew => members.iter_mut().for_each(|member| member.since = member.seen),
            _ => {}
        }
        Ok(members)
    }

    async fn receipts(&self) -> Result<Receipts> {
        let receipts = self.inner.receipts().await?;
        Ok(match self.defect {
            CountsOwnedReceiptsOnly => Receipts { count: receipts.count.min(2), ..receipts },
            TellsTheYoungest => Receipts { oldest: Some(self.inner.now().await?), ..receipts },
            _ => receipts,
        })
    }
}
