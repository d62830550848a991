//! Looking jobs up, one by one and in lists.

use super::{CANDIDATES_MAX, State, Stored};
use haul_core::{
    JobId, Tenant,
    ledger::{Filter, Loaded, Page, StateFilter},
    outcome::{FinalState, JobRecord},
};
use std::{collections::BTreeSet, ops::Bound};

impl State {
    pub(in crate::reference) fn load(&self, ids: &[JobId]) -> Vec<Loaded> {
        let ids: BTreeSet<&JobId> = ids.iter().collect();
        let stored = ids.into_iter().filter_map(|id| self.jobs.get(id));
        let load = |stored: &Stored| Loaded {
            job: stored.job.clone(),
            failures: stored.failure_count(),
            crashes: stored.crash_count(),
            due: stored.due(),
            outcome: stored.state(),
        };
        stored.map(load).collect()
    }

    pub(in crate::reference) fn settled(&self, ids: &[JobId]) -> Vec<(JobId, FinalState)> {
        let ids: BTreeSet<&JobId> = ids.iter().collect();
        ids.into_iter().filter_map(|id| Some((*id, self.jobs.get(id)?.state()?))).collect()
    }

    pub(in crate::reference) fn job(&self, tenant: &Tenant, id: JobId) -> Option<JobRecord> {
        let stored = self.jobs.get(&id).filter(|stored| stored.job.tenant == *tenant)?;
        Some(stored.record(stored.failures.values().cloned().collect()))
    }

    pub(in crate::reference) fn list(
        &self,
        tenant: &Tenant,
        filter: &Filter,
        before: Option<JobId>,
        limit: usize,
    ) -> Page {
        let mut page = Page::default();
        let before = before.map_or(Bound::Unbounded, Bound::Excluded);
        for (looked_at, (id, stored)) in self.jobs.range((Bound::Unbounded, before)).rev().enumerate() {
            if page.jobs.len() == limit || looked_at == CANDIDATES_MAX {
                // `before` is exclusive: the first job that was not looked at is the next one's predecessor.
                page.next = Some(successor(*id));
                break;
            }
            if stored.job.tenant == *tenant && matches(filter, stored) {
                page.jobs.push(stored.record(stored.failures.values().next_back().cloned().into_iter().collect()));
            }
        }
        page
    }
}

fn successor(id: JobId) -> JobId {
    JobId(uuid::Uuid::from_u128(id.0.as_u128().saturating_add(1)))
}

fn matches(filter: &Filter, stored: &Stored) -> bool {
    let job = &stored.job;
    let state = match filter.state {
        None => true,
        Some(StateFilter::Unsettled) => stored.outcome.is_none(),
        Some(StateFilter::Final(state)) => stored.state() == Some(state),
    };
    let tag = |(name, value): &(String, String)| job.options.tags.get(name) == Some(value);
    state
        && filter.queue.as_ref().is_none_or(|queue| job.queue == *queue)
        && filter.kind.as_ref().is_none_or(|kind| job.kind == *kind)
        && filter.tag.as_ref().is_none_or(tag)
        && filter.created_from.is_none_or(|from| job.created_at() >= from)
        && filter.created_before.is_none_or(|before| job.created_at() < before)
}
