//! Jobs as columns: what a multi-row statement is given.

use chrono::{DateTime, Utc};
use haul_core::{Job, JobId};
use std::collections::HashSet;
use uuid::Uuid;

/// The columns of `haul.job`, a row per job, sorted by id, so that two batches with the same rows never deadlock.
#[derive(Default)]
pub(crate) struct JobColumns<'a> {
    pub(crate) ids: Vec<Uuid>,
    pub(crate) run_ats: Vec<DateTime<Utc>>,
    pub(crate) priorities: Vec<i16>,
    pub(crate) tenants: Vec<&'a str>,
    pub(crate) queues: Vec<&'a str>,
    pub(crate) kinds: Vec<&'a str>,
    pub(crate) payloads: Vec<&'a [u8]>,
    pub(crate) options: Vec<Option<String>>,
}

impl<'a> JobColumns<'a> {
    /// Of jobs that are sorted by id already.
    pub(crate) fn of_sorted(jobs: impl ExactSizeIterator<Item = &'a Job>) -> Self {
        let n = jobs.len();
        let mut columns = Self {
            ids: Vec::with_capacity(n),
            run_ats: Vec::with_capacity(n),
            priorities: Vec::with_capacity(n),
            tenants: Vec::with_capacity(n),
            queues: Vec::with_capacity(n),
            kinds: Vec::with_capacity(n),
            payloads: Vec::with_capacity(n),
            options: Vec::with_capacity(n),
        };
        for job in jobs {
            columns.ids.push(job.id.0);
            columns.run_ats.push(job.run_at.to_chrono());
            columns.priorities.push(i16::from(job.priority.get()));
            columns.tenants.push(job.tenant.as_str());
            columns.queues.push(job.queue.as_str());
            columns.kinds.push(job.kind.as_str());
            columns.payloads.push(&job.payload);
            columns.options.push(job.options.encode());
        }
        columns
    }

    /// Sorts the jobs and leaves out what comes twice.
    pub(crate) fn of(jobs: impl Iterator<Item = &'a Job>) -> Self {
        let mut jobs: Vec<&Job> = jobs.collect();
        jobs.sort_unstable_by_key(|job| job.id);
        jobs.dedup_by_key(|job| job.id);
        Self::of_sorted(jobs.into_iter())
    }
}

/// Ids to look up: sorted, each once, with their bounds.
pub(crate) struct IdColumn {
    pub(crate) ids: Vec<Uuid>,
    pub(crate) low: Uuid,
    pub(crate) high: Uuid,
}

impl IdColumn {
    /// `None` when there are none.
    pub(crate) fn of(ids: impl IntoIterator<Item = JobId>) -> Option<Self> {
        let mut ids: Vec<Uuid> = ids.into_iter().map(|id| id.0).collect();
        ids.sort_unstable();
        ids.dedup();
        let (low, high) = (*ids.first()?, *ids.last()?);
        Some(Self { ids, low, high })
    }

    /// Those that are not among these.
    pub(crate) fn without(&self, found: impl Iterator<Item = Uuid>) -> Vec<Uuid> {
        let found: HashSet<Uuid> = found.collect();
        self.ids.iter().copied().filter(|id| !found.contains(id)).collect()
    }

    /// The ids of the latest two days, and the older ones.
    ///
    /// Most ids that are looked up together are young. One statement over all of them would look at every partition
    /// between the oldest and the youngest.
    pub(crate) fn young_and_old(ids: &[JobId]) -> impl Iterator<Item = Self> + use<> {
        let youngest = ids.iter().max().map(|id| id.created_at());
        let bound = youngest.map_or(JobId(Uuid::nil()), |time| JobId::floor(time.minus(DAY)));
        let (old, young): (Vec<JobId>, Vec<JobId>) = ids.iter().partition(|id| **id < bound);
        [young, old].into_iter().filter_map(Self::of)
    }
}

const DAY: std::time::Duration = std::time::Duration::from_secs(24 * 3_600);

#[cfg(test)]
mod tests {
    use super::*;
    use haul_core::Timestamp;

    #[test]
    fn young_ids_do_not_drag_the_partitions_of_old_ones_along() {
        let id = |day: i64| JobId::floor(Timestamp::from_ms(1_800_000_000_000 + day * 86_400_000));
        let parts: Vec<_> = IdColumn::young_and_old(&[id(0), id(90), id(89), id(90)]).collect();
        assert_eq!(parts.len(), 2);
        assert_eq!(parts[0].ids, [id(89).0, id(90).0]);
        assert_eq!((parts[1].low, parts[1].high), (id(0).0, id(0).0));
        assert_eq!(IdColumn::young_and_old(&[]).count(), 0);
    }
}
