//! Statistics: what each hour has come to.

use super::{State, Stored};
use haul_core::{
    JobId, Kind, QueueRef, Timestamp,
    maintenance::Progress,
    outcome::FinalState,
    statistics::{Figures, HOUR, HOURS_MAX, Hour, ROUNDS, hour_of, ids_of, uncounted_from},
};
use std::collections::BTreeMap;

/// What was counted, and how far.
#[derive(Debug, Default)]
pub(super) struct Counted {
    hours: BTreeMap<(Timestamp, QueueRef, Kind), Figures>,
    /// The next hour of each round.
    rounds: [Timestamp; ROUNDS.len()],
}

impl State {
    pub(in crate::reference) fn count_hour(&mut self, now: Timestamp) -> Progress {
        for (round, after) in ROUNDS.into_iter().enumerate() {
            let (from, until) = (self.statistics.rounds[round], uncounted_from(now, after));
            if from >= until {
                continue;
            }
            let next = self.jobs.range(JobId::floor(from)..JobId::floor(until)).next();
            let hour = next.map(|(id, _)| hour_of(id.created_at()));
            self.statistics.rounds[round] = hour.map_or(until, |hour| hour.plus(HOUR));
            let done = hour.map_or(0, |hour| self.count(hour));
            return Progress { done, more: true };
        }
        Progress::default()
    }

    fn count(&mut self, hour: Timestamp) -> u64 {
        let (first, end) = ids_of(hour);
        let mut counted: BTreeMap<(Timestamp, QueueRef, Kind), Figures> = BTreeMap::new();
        for stored in self.jobs.range(first..end).map(|(_, stored)| stored) {
            let key = (hour, stored.job.queue_ref(), stored.job.kind.clone());
            counted.entry(key).or_default().add(&figures(stored));
        }
        let ended = |figures: &Figures| figures.succeeded + figures.dead + figures.cancelled;
        let done = counted.len() as u64;
        for (key, figures) in counted {
            let known = self.statistics.hours.entry(key).or_default();
            if figures.accepted >= known.accepted && ended(&figures) >= ended(known) {
                *known = figures;
            }
        }
        done
    }

    pub(in crate::reference) fn expire_hours(&mut self, before: Timestamp, limit: usize) -> Progress {
        let old: Vec<_> = self.statistics.hours.keys().take_while(|key| key.0 < before).take(limit).cloned().collect();
        for key in &old {
            self.statistics.hours.remove(key);
        }
        Progress { done: old.len() as u64, more: old.len() == limit }
    }

    pub(in crate::reference) fn hours(
        &self,
        queue: &QueueRef,
        kind: Option<&Kind>,
        from: Timestamp,
        to: Timestamp,
    ) -> Vec<Hour> {
        let mut hours: BTreeMap<Timestamp, Figures> = BTreeMap::new();
        for ((at, of_queue, of_kind), figures) in &self.statistics.hours {
            let is_asked_for = of_queue == queue && kind.is_none_or(|kind| kind == of_kind);
            if is_asked_for && *at >= from && *at < to {
                hours.entry(*at).or_default().add(figures);
            }
        }
        hours.into_iter().map(|(at, figures)| Hour { at, figures }).take(HOURS_MAX).collect()
    }
}

fn figures(stored: &Stored) -> Figures {
    let mut figures = Figures { accepted: 1, failures: stored.failures.len() as u64, ..Figures::default() };
    let Some(outcome) = &stored.outcome else { return figures };
    let took_ms = outcome.finished_at.since(stored.job.run_at).as_millis();
    let took_ms = u64::try_from(took_ms).unwrap_or(u64::MAX);
    match outcome.state {
        FinalState::Succeeded => figures.succeeded = 1,
        FinalState::Dead => figures.dead = 1,
        FinalState::Cancelled => figures.cancelled = 1,
    }
    if outcome.state != FinalState::Cancelled {
        (figures.took_ms_sum, figures.took_ms_max) = (took_ms, took_ms);
    }
    figures
}
