//! Statistics: what was accepted in each hour, per queue and kind, and what came of it.
//!
//! An hour counts the jobs whose ids fall into it, and for these how they have ended, whenever that was. It is counted
//! in [`ROUNDS`]: soon after its end, a day later and a week later. Each round counts anew from the jobs themselves and
//! nothing is ever added up, so that no job is counted twice, whoever counts and however often; what had not ended by
//! the last round is `accepted` and nothing else. A figure never shrinks: once retention has dropped jobs, what was
//! counted of them stays.
//!
//! The ledger does not know when attempts begin: there is no waiting time and no running time here, only the time from
//! being due to the outcome. What an adapter promises is written at each method and checked by the statistics suite of
//! `haul-conformance`.

use crate::{
    id::JobId,
    ledger::Result,
    maintenance::Progress,
    name::{Kind, QueueRef},
    time::Timestamp,
};
use async_trait::async_trait;
use std::time::Duration;

/// Length of an hour.
pub const HOUR: Duration = Duration::from_secs(3_600);
/// How long after its end an hour is counted: for whoever looks now, for what was retried, and for what ended days later.
pub const ROUNDS: [Duration; 3] =
    [Duration::from_secs(5 * 60), Duration::from_secs(24 * 3_600), Duration::from_secs(7 * 24 * 3_600)];
/// Hours that one reading gives at most.
pub const HOURS_MAX: usize = 31 * 24;

/// What is counted of some jobs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    /// Jobs accepted.
    pub accepted: u64,
    /// Those that have succeeded.
    pub succeeded: u64,
    /// Those that are dead.
    pub dead: u64,
    /// Those that were cancelled.
    pub cancelled: u64,
    /// Failed attempts after which there was to be another one.
    pub failures: u64,
    /// From being due (`run_at`, or accepted) to the outcome, summed over those that succeeded or died, in milliseconds.
    pub took_ms_sum: u64,
    /// The longest of these times.
    pub took_ms_max: u64,
}

impl Figures {
    /// Counts others in.
    pub fn add(&mut self, other: &Self) {
        self.accepted += other.accepted;
        self.succeeded += other.succeeded;
        self.dead += other.dead;
        self.cancelled += other.cancelled;
        self.failures += other.failures;
        self.took_ms_sum += other.took_ms_sum;
        self.took_ms_max = self.took_ms_max.max(other.took_ms_max);
    }
}

/// An hour of a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hour {
    /// When it begins.
    pub at: Timestamp,
    /// What was counted.
    pub figures: Figures,
}

/// The beginning of the hour (UTC) that a time falls into.
pub fn hour_of(time: Timestamp) -> Timestamp {
    let hour_ms = 3_600_000;
    Timestamp::from_ms(time.as_ms().div_euclid(hour_ms).saturating_mul(hour_ms))
}

/// The first hour that a round may not count yet at that time.
pub fn uncounted_from(now: Timestamp, round: Duration) -> Timestamp {
    hour_of(now.minus(round))
}

/// The ids of an hour: from the first up to before the second.
pub fn ids_of(hour: Timestamp) -> (JobId, JobId) {
    (JobId::floor(hour), JobId::floor(hour.plus(HOUR)))
}

/// Counts jobs by the hour.
#[async_trait]
pub trait Statistics: Send + Sync + 'static {
    /// Counts the next hour that some round has to count, the earliest first, and tells how many queues and kinds it had
    /// and whether more hours wait. Hours without jobs take no step. A round begins with the oldest job and goes on where
    /// it was, also after weeks without a call. Any number of processes may call this at once.
    async fn count_hour(&self) -> Result<Progress>;

    /// Forgets hours that lie before `before`, at most `limit` rows.
    async fn expire_hours(&self, before: Timestamp, limit: usize) -> Result<Progress>;

    /// The counted hours of a queue that begin at or after `from` and before `to`, in their order, the first
    /// [`HOURS_MAX`]; of one kind, or of all together. Hours without jobs are left out.
    async fn hours(&self, queue: &QueueRef, kind: Option<&Kind>, from: Timestamp, to: Timestamp) -> Result<Vec<Hour>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_is_counted_when_it_has_ended_for_long_enough() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        assert_eq!(uncounted_from(at("2026-11-22T12:04:59Z"), ROUNDS[0]), at("2026-11-22T11:00:00Z"));
        assert_eq!(uncounted_from(at("2026-11-22T12:05:00Z"), ROUNDS[0]), at("2026-11-22T12:00:00Z"));
        assert_eq!(uncounted_from(at("2026-11-22T12:05:00Z"), ROUNDS[1]), at("2026-11-21T12:00:00Z"));
        let (first, end) = ids_of(at("2026-11-22T12:00:00Z"));
        assert_eq!((first.created_at(), end.created_at()), (at("2026-11-22T12:00:00Z"), at("2026-11-22T13:00:00Z")));
    }
}
