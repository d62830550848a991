//! Forgetting what is old.

use super::State;
use haul_core::{
    JobId, Timestamp,
    maintenance::{Progress, Retained, Retention, open_from},
};

/// Jobs deleted or erased per call. Small, so that callers meet steps that are not the last.
const STEP_MAX: usize = 50;

impl State {
    pub(in crate::reference) fn retain(&mut self, now: Timestamp, retention: &Retention) -> Retained {
        let mut retained = Retained::default();
        let open_from = open_from(now);
        if self.closed_before.is_none_or(|closed| closed < open_from) {
            self.closed_before = Some(open_from);
            retained.days_closed = 1;
        }
        let due = self.jobs.range(..retention.keeps_from(now)).filter(|(id, stored)| {
            stored.outcome.as_ref().is_some_and(|outcome| retention.drops(**id, outcome.finished_at, now))
        });
        let due: Vec<JobId> = due.map(|(id, _)| *id).take(STEP_MAX + 1).collect();
        for id in due.iter().take(STEP_MAX) {
            self.jobs.remove(id);
            self.keys.retain(|_, key| key.job != *id);
            retained.jobs_deleted += 1;
        }
        retained.more = due.len() > STEP_MAX;
        retained
    }

    pub(in crate::reference) fn erase_payloads(&mut self, before: Timestamp) -> Progress {
        let Some(closed_before) = self.closed_before else { return Progress::default() };
        let ended = self.jobs.range_mut(..JobId::floor(before).min(closed_before)).map(|(_, stored)| stored);
        let mut left = ended.filter(|stored| stored.outcome.is_some() && !stored.job.payload.is_empty());
        let mut progress = Progress::default();
        for stored in left.by_ref().take(STEP_MAX) {
            stored.job.payload.clear();
            stored.failures.values_mut().for_each(|failure| failure.error.detail = None);
            if let Some(outcome) = &mut stored.outcome {
                outcome.result = None;
                outcome.error.iter_mut().for_each(|error| error.detail = None);
            }
            progress.done += 1;
        }
        progress.more = left.next().is_some();
        progress
    }

    pub(in crate::reference) fn expire_keys(&mut self, now: Timestamp, limit: usize) -> Progress {
        let expired = self.keys.iter().filter(|(_, key)| key.expires_at <= now);
        let expired: Vec<_> = expired.map(|(slot, _)| slot.clone()).take(limit.saturating_add(1)).collect();
        for slot in expired.iter().take(limit) {
            self.keys.remove(slot);
        }
        Progress { done: expired.len().min(limit) as u64, more: expired.len() > limit }
    }
}
