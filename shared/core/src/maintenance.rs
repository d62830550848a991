//! Maintenance: forgetting what is old, on purpose and in bounded steps.
//!
//! History is kept by the UTC day of a job's id. 24 h after its end a day is *closed*: nothing is accepted into it any
//! more. `keep_days` after its end a closed day is *dropped*, with all its jobs. A job without an outcome is never
//! dropped, however old it is, and one that ended late is kept for `keep_days` from then on; they outlive their day.
//!
//! What an adapter promises is written at each method and checked by the maintenance suite of `haul-conformance`. Every
//! method does a bounded piece of work and tells whether more is left; a caller goes on until nothing is, or until its
//! time is up. All of them may be called by any number of processes at once, while jobs are accepted, run, cancelled and
//! listed; each may fail with [`LedgerError::Unavailable`](crate::ledger::LedgerError::Unavailable) after its effect was
//! committed, and is safe to call again. A process that dies within one leaves nothing that the next call would not
//! take up.

use crate::{id::JobId, ledger::Result, time::Timestamp};
use async_trait::async_trait;
use std::time::Duration;

/// Length of a day of ids.
const DAY_MS: i64 = 24 * 3_600 * 1_000;
/// How long after its end a day is closed, at the earliest.
pub const CLOSED_AFTER: Duration = Duration::from_secs(24 * 3_600);

/// How long history is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Days after the end of a day until its jobs are dropped; at least 1, less counts as 1.
    pub keep_days: u32,
}

impl Retention {
    /// Keeps days for so long.
    pub const fn days(keep_days: u32) -> Self {
        Self { keep_days }
    }

    /// The first id that is not to be dropped at that time.
    pub fn keeps_from(&self, now: Timestamp) -> JobId {
        floor_of_day(now.as_ms().div_euclid(DAY_MS) - self.days_kept())
    }

    /// When a job that outlives its day must have ended before, to be dropped at that time.
    pub fn ended_before(&self, now: Timestamp) -> Timestamp {
        Timestamp::from_ms(now.as_ms().saturating_sub(self.days_kept() * DAY_MS))
    }

    /// Whether a job that ended at `finished_at` is to be dropped at that time.
    pub fn drops(&self, id: JobId, finished_at: Timestamp, now: Timestamp) -> bool {
        id < self.keeps_from(now) && (finished_at < ended_late_from(id) || finished_at < self.ended_before(now))
    }

    fn days_kept(&self) -> i64 {
        i64::from(self.keep_days.max(1))
    }
}

/// The first id that does not belong to a day that may be closed at that time.
pub fn open_from(now: Timestamp) -> JobId {
    let last_end = now.minus(CLOSED_AFTER);
    floor_of_day(last_end.as_ms().div_euclid(DAY_MS))
}

/// From when on a job has ended late: when its day could be closed already.
pub fn ended_late_from(id: JobId) -> Timestamp {
    let day = id.created_at().as_ms().div_euclid(DAY_MS);
    Timestamp::from_ms((day + 1) * DAY_MS).plus(CLOSED_AFTER)
}

/// The first id of a day since 1970.
fn floor_of_day(day: i64) -> JobId {
    JobId::floor(Timestamp::from_ms(day.saturating_mul(DAY_MS).max(0)))
}

/// Why a job is refused for good: it comes too late for its day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the job {0} comes too late: its day is closed")]
pub struct DayClosed(pub JobId);

/// What a step of retention did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retained {
    /// Days closed.
    pub days_closed: u64,
    /// Days dropped, where days are stored apart (Postgres); elsewhere their jobs are counted one by one.
    pub days_dropped: u64,
    /// Days that could be closed but for their many unfinished jobs. They stay as they are, and are looked at again.
    pub days_held: u64,
    /// Jobs that were moved out of a day that was closed, because they outlive it.
    pub jobs_moved: u64,
    /// Jobs that were deleted one by one.
    pub jobs_deleted: u64,
    /// Whether the next call will find more to do. False, too, where another process is at it, or where a transaction
    /// that has been open for long is in the way: come back later.
    pub more: bool,
}

impl Retained {
    /// Adds what a later step did; its state is the one that holds.
    pub fn add(&mut self, later: &Self) {
        self.days_closed += later.days_closed;
        self.days_dropped += later.days_dropped;
        self.jobs_moved += later.jobs_moved;
        self.jobs_deleted += later.jobs_deleted;
        (self.days_held, self.more) = (later.days_held, later.more);
    }
}

/// How much of something was done, and whether more is left.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// In jobs, keys or tables.
    pub done: u64,
    /// Whether the next call will find more to do.
    pub more: bool,
}

/// Keeps a ledger from growing for ever.
#[async_trait]
pub trait Maintenance: Send + Sync + 'static {
    /// Takes the next step of retention: closes a day, drops one, or deletes some jobs whose time has come.
    ///
    /// A day is closed 24 h after its end, when every transaction that may still write to it has ended. From then on
    /// [`Ledger::accept`](crate::Ledger::accept) of a new job with an id of that day, or of an older one, is
    /// [`LedgerError::Refused`](crate::ledger::LedgerError::Refused); of a job that it still holds it is answered as
    /// before.
    /// `keep_days` after its end a closed day is dropped. Jobs of it that had no outcome then, or ended later than 24 h
    /// after its end, stay: at every moment everyone sees each of them, with its failures and its outcome, exactly once,
    /// and it is run, recorded and cancelled like any other. They are deleted `keep_days` after they ended. (What ended
    /// more than 24 h before its day was closed counts as ended in time, however late that was.)
    ///
    /// A job that was dropped never existed: it is not loaded, not listed, not to be cancelled; a record of it is stale;
    /// its id is not accepted again. Its idempotency key lapses with it.
    ///
    /// No statement of others waits for a step for longer than a moment; what a step would have to wait for longer is
    /// left to a later one.
    async fn retain(&self, retention: &Retention) -> Result<Retained>;

    /// Erases payload, result and error detail of jobs that have ended, have ids before `before`, and lie in days that
    /// are closed; counts the jobs. They are shown with [`JobRecord::is_erased`](crate::outcome::JobRecord::is_erased).
    async fn erase_payloads(&self, before: Timestamp) -> Result<Progress>;

    /// Forgets idempotency keys that have expired, at most `limit`. One that somebody uses right now is left for later.
    async fn expire_keys(&self, limit: usize) -> Result<Progress>;

    /// Refreshes what the store's planner knows of its tables: of the next one for which that is out of date.
    async fn analyze(&self) -> Result<Progress>;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_day_may_be_closed_a_day_after_its_end() {
        let day = |text| JobId::floor(at(text));
        assert_eq!(open_from(at("2026-11-22T00:00:00Z")), day("2026-11-21T00:00:00Z"));
        assert_eq!(open_from(at("2026-11-22T23:59:59.999Z")), day("2026-11-21T00:00:00Z"));
        assert_eq!(open_from(at("2026-11-23T00:00:00Z")), day("2026-11-22T00:00:00Z"));
    }

    #[test]
    fn days_are_kept_from_their_end_and_at_least_one() {
        let kept = |days, now| Retention::days(days).keeps_from(at(now));
        assert_eq!(kept(7, "2026-11-22T12:00:00Z"), JobId::floor(at("2026-11-15T00:00:00Z")));
        assert_eq!(kept(0, "2026-11-22T12:00:00Z"), open_from(at("2026-11-22T12:00:00Z")));
        assert_eq!(kept(u32::MAX, "2026-11-22T12:00:00Z"), JobId::floor(Timestamp::from_ms(0)));
    }

    #[test]
    fn what_ended_late_is_kept_from_its_end() {
        let (id, now) = (JobId::floor(at("2026-11-10T12:00:00Z")), at("2026-11-22T12:00:00Z"));
        let drops = |days, ended| Retention::days(days).drops(id, at(ended), now);
        assert!(drops(7, "2026-11-10T12:00:01Z") && drops(7, "2026-11-11T23:59:59Z"));
        assert!(drops(7, "2026-11-15T11:59:59Z") && !drops(7, "2026-11-15T12:00:00Z"));
        assert!(!drops(12, "2026-11-10T12:00:01Z") && drops(11, "2026-11-10T12:00:01Z"));
    }
}
