//! Unsettled jobs, and the minutes in which there are none.

use super::{CANDIDATES_MAX, State};
use haul_core::{
    JobId, Timestamp,
    ledger::{Unsettled, UnsettledPage},
};
use std::{collections::BTreeMap, ops::Bound, time::Duration};

/// How long after its end nothing more can come into a minute.
const MINUTE_GRACE: Duration = Duration::from_secs(600);
/// Minutes closed per call.
const CLOSE_MAX: usize = 60;

impl State {
    pub(in crate::reference) fn unsettled(
        &self,
        after: Option<JobId>,
        last: Option<JobId>,
        limit: usize,
    ) -> UnsettledPage {
        let mut page = UnsettledPage::default();
        let (mut looked_at, mut latest) = (0, after);
        let after = after.map_or(Bound::Unbounded, Bound::Excluded);
        for (id, stored) in self.jobs.range((after, Bound::Unbounded)) {
            if last.is_some_and(|last| *id > last) {
                break;
            }
            if self.closed_minutes.contains(&id.created_at().minute()) {
                continue;
            }
            if page.jobs.len() == limit || looked_at == CANDIDATES_MAX {
                page.next = latest;
                break;
            }
            looked_at += 1;
            latest = Some(*id);
            if stored.outcome.is_none() {
                let job = &stored.job;
                let (queue, kind) = (job.queue_ref(), job.kind.clone());
                page.jobs.push(Unsettled { id: *id, queue, kind, priority: job.priority, due: stored.due() });
            }
        }
        page
    }

    pub(in crate::reference) fn reopen(&mut self, first: JobId, last: JobId) {
        let reopened = first.created_at().minute()..=last.created_at().minute();
        self.closed_minutes.retain(|minute| !reopened.contains(minute));
    }

    pub(in crate::reference) fn close_minutes(&mut self, now: Timestamp) -> u64 {
        let open_from = now.minus(MINUTE_GRACE).minute();
        let mut settled: BTreeMap<i64, bool> = BTreeMap::new();
        for (id, stored) in &self.jobs {
            *settled.entry(id.created_at().minute()).or_insert(true) &= stored.outcome.is_some();
        }
        let closable = settled.into_iter().filter(|(minute, settled)| *settled && *minute < open_from);
        let closable = closable.map(|(minute, _)| minute).filter(|minute| !self.closed_minutes.contains(minute));
        let closable: Vec<i64> = closable.take(CLOSE_MAX).collect();
        let closed = closable.len() as u64;
        self.closed_minutes.extend(closable);
        closed
    }
}
