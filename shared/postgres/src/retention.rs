//! Retention: days are closed, then dropped; what outlives its day moves to tables of its own.
//!
//! One process at a time takes a step (an advisory lock of its session); others find nothing to do. Each step leaves the
//! database in a state from which the next one goes on, whoever takes it:
//!
//! 1. *Survey*: a day that may be closed is looked through, a slice at a time and without any lock, for jobs that
//!    outlive it. What comes late afterwards lists itself as a straggler.
//! 2. *Close*: `haul.close_day`, one statement under a lock on the day's three partitions: waits for their open writers
//!    for a moment, looks again at what the survey and the list of stragglers name, moves it, and has triggers refuse
//!    what comes later. From then on a partition holds ended jobs only, and nothing changes that.
//! 3. *Drop*: each partition is detached `CONCURRENTLY`, which holds nobody up, and dropped: jobs first, outcomes last,
//!    so that no job is ever seen without its outcome.
//! 4. What was moved and has ended since is deleted when its own time is over.
//!
//! See docs/decisions/0130 and 0131.

use crate::{
    error::is_in_the_way,
    pool::{Connections, Lent, ask, in_time},
};
use chrono::NaiveDate;
use haul_core::{
    JobId, Timestamp,
    ledger::Result,
    maintenance::{Progress, Retained, Retention},
};
use sqlx::{AssertSqlSafe, Executor};

/// Jobs looked through per step: about half a second.
const SURVEY_MAX: i32 = 500_000;
/// Jobs that are moved in one transaction, while writers of their day wait. A day that holds more stays open.
const MOVED_MAX: i32 = 20_000;
/// Kept jobs deleted per step.
const DELETED_MAX: i64 = 2_000;
/// Jobs whose payload is erased per step.
const ERASED_MAX: i32 = 5_000;
/// The tables of a day. No job without its outcome: in the order in which they go.
const TABLES: [&str; 3] = ["job", "failure", "outcome"];
/// How long to wait for locks that others wait behind, and for transactions that nobody waits behind.
const SHORT_WAIT: &str = "SET lock_timeout = '200ms'";
const LONG_WAIT: &str = "SET lock_timeout = '2s'";

pub(crate) async fn retain(connections: &Connections, retention: &Retention, now: Timestamp) -> Result<Retained> {
    let mut lent = connections.lend().await?;
    let patience = lent.patience();
    let turn = sqlx::query_file!("sql/retention_turn.sql").fetch_one(lent.connection());
    if !in_time(patience, turn).await?.taken {
        lent.give_back();
        return Ok(Retained::default());
    }
    // Dropped on an error, the connection ends, and the turn with it.
    let mut step = Step { lent, retention, now, retained: Retained::default() };
    step.take().await?;
    let Step { mut lent, retained, .. } = step;
    let end = async {
        lent.connection().execute("RESET lock_timeout").await?;
        sqlx::query_file!("sql/retention_turn_end.sql").fetch_one(lent.connection()).await
    };
    in_time(patience, end).await?;
    lent.give_back();
    Ok(retained)
}

/// A step of retention, and the session that has the turn.
struct Step<'a> {
    lent: Lent,
    retention: &'a Retention,
    now: Timestamp,
    retained: Retained,
}

impl Step<'_> {
    /// Does the first thing that can be done.
    async fn take(&mut self) -> Result<()> {
        let keeps_from = self.retention.keeps_from(self.now).0;
        self.execute(SHORT_WAIT).await?;
        let begin = sqlx::query_file!("sql/retention_begin.sql", keeps_from);
        let begin = in_time(self.lent.patience(), begin.fetch_one(self.lent.connection())).await?;
        self.retained.days_held = u64::try_from(begin.held).unwrap_or(0);
        let done =
            self.drop_next(keeps_from).await? || self.close_next().await? || self.delete_next(keeps_from).await?;
        self.retained.more = done;
        Ok(())
    }

    async fn drop_next(&mut self, keeps_from: uuid::Uuid) -> Result<bool> {
        let next = sqlx::query_file!("sql/retention_to_drop.sql", keeps_from);
        let next = in_time(self.lent.patience(), next.fetch_optional(self.lent.connection())).await?;
        let Some(day) = next.map(|row| row.day) else { return Ok(false) };
        for table in TABLES {
            let partition = format!("haul.{table}_{}", day.format("%Y%m%d"));
            if !self.drop_partition(table, &partition).await? {
                return Ok(false);
            }
        }
        let forget = sqlx::query_file!("sql/forget_day.sql", day);
        in_time(self.lent.patience(), forget.execute(self.lent.connection())).await?;
        tracing::info!(%day, "dropped the jobs of a day");
        self.retained.days_dropped = 1;
        Ok(true)
    }

    /// Takes a partition from wherever it stands to its end. False: a transaction is in the way.
    async fn drop_partition(&mut self, table: &str, partition: &str) -> Result<bool> {
        let detach = format!("ALTER TABLE haul.{table} DETACH PARTITION {partition}");
        // Attached, being detached, detached, gone: each step takes it at least one further.
        for _ in 0..4 {
            let state = sqlx::query_file!("sql/partition_state.sql", partition);
            let state = in_time(self.lent.patience(), state.fetch_one(self.lent.connection())).await?.state;
            let (wait, statement) = match state {
                None => return Ok(true),
                Some(0) => (LONG_WAIT, format!("{detach} CONCURRENTLY")),
                Some(1) => (LONG_WAIT, format!("{detach} FINALIZE")),
                Some(_) => (SHORT_WAIT, format!("DROP TABLE {partition}")),
            };
            self.execute(wait).await?;
            if !self.execute_unless_in_the_way(&statement).await? {
                self.execute(SHORT_WAIT).await?;
                return Ok(false);
            }
        }
        Ok(false)
    }

    async fn close_next(&mut self) -> Result<bool> {
        let patience = self.lent.patience();
        let next = sqlx::query_file!("sql/retention_to_close.sql");
        let Some(next) = in_time(patience, next.fetch_optional(self.lent.connection())).await? else {
            return Ok(false);
        };
        if next.surveyed {
            return self.close(next.day).await;
        }
        let survey = sqlx::query_file!("sql/survey_day.sql", next.day, SURVEY_MAX);
        in_time(patience, survey.fetch_one(self.lent.connection())).await?;
        let found = sqlx::query_file!("sql/count_outliving.sql", next.day);
        let found = in_time(patience, found.fetch_one(self.lent.connection())).await?.found;
        if found > i64::from(MOVED_MAX) {
            self.hold(next.day).await?;
        }
        Ok(true)
    }

    async fn close(&mut self, day: NaiveDate) -> Result<bool> {
        let close = sqlx::query_file!("sql/close_day.sql", day, MOVED_MAX);
        let closed = in_time(self.lent.patience(), close.fetch_one(self.lent.connection())).await;
        let moved = match closed {
            Ok(row) => row.moved,
            Err(error) if is_in_the_way(&error) => {
                tracing::info!(%day, "a transaction is in the way of closing a day");
                return Ok(false);
            }
            Err(error) => return Err(error),
        };
        match u64::try_from(moved) {
            Ok(moved) => {
                tracing::info!(%day, moved, "closed a day");
                (self.retained.days_closed, self.retained.jobs_moved) = (1, moved);
            }
            Err(_) => self.hold(day).await?,
        }
        Ok(true)
    }

    async fn hold(&mut self, day: NaiveDate) -> Result<()> {
        let hold = sqlx::query_file!("sql/hold_day.sql", day);
        in_time(self.lent.patience(), hold.execute(self.lent.connection())).await?;
        tracing::warn!(%day, jobs_max = MOVED_MAX, "a day holds too many unfinished jobs to be closed");
        self.retained.days_held += 1;
        Ok(())
    }

    async fn delete_next(&mut self, keeps_from: uuid::Uuid) -> Result<bool> {
        let ended_before = self.retention.ended_before(self.now).to_chrono();
        let delete = sqlx::query_file!("sql/delete_kept.sql", keeps_from, ended_before, DELETED_MAX);
        let deleted = in_time(self.lent.patience(), delete.fetch_one(self.lent.connection())).await?.deleted;
        self.retained.jobs_deleted = u64::try_from(deleted).unwrap_or(0);
        Ok(deleted > 0)
    }

    /// A statement that is made of nothing but what is written here.
    async fn execute(&mut self, statement: &str) -> Result<()> {
        let patience = self.lent.patience();
        let answer = sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(self.lent.connection());
        in_time(patience, answer).await?;
        Ok(())
    }

    /// False: what others hold stands in the way. Whoever comes later goes on from there.
    async fn execute_unless_in_the_way(&mut self, statement: &str) -> Result<bool> {
        match self.execute(statement).await {
            Ok(()) => Ok(true),
            Err(error) if is_in_the_way(&error) => {
                tracing::info!("a transaction is in the way of dropping a day");
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }
}

pub(crate) async fn erase_payloads(connections: &Connections, before: Timestamp) -> Result<Progress> {
    let before = JobId::floor(before).0;
    let row = ask!(connections, c => sqlx::query_file!("sql/erase_payloads.sql", before, ERASED_MAX).fetch_one(c))?;
    Ok(Progress { done: u64::try_from(row.erased).unwrap_or(0), more: row.more })
}

pub(crate) async fn expire_keys(connections: &Connections, limit: usize) -> Result<Progress> {
    let rows = i64::try_from(limit).unwrap_or(i64::MAX);
    let done = ask!(connections, c => sqlx::query_file!("sql/forget_keys.sql", rows).execute(c))?.rows_affected();
    Ok(Progress { done, more: limit > 0 && done >= limit as u64 })
}

pub(crate) async fn analyze(connections: &Connections) -> Result<Progress> {
    let next = ask!(connections, c => sqlx::query_file!("sql/stale_statistics.sql").fetch_optional(c))?;
    let Some(next) = next else { return Ok(Progress::default()) };
    let statement = format!("ANALYZE {}", next.name);
    let analyzed = ask!(connections, c => sqlx::raw_sql(AssertSqlSafe(statement)).execute(c));
    match analyzed {
        Ok(_) => Ok(Progress { done: 1, more: next.others > 0 }),
        // Dropped meanwhile, or being analyzed.
        Err(error) if is_in_the_way(&error) => Ok(Progress::default()),
        Err(error) => Err(error),
    }
}
