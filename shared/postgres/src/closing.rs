//! Closing history, so that looking for unsettled jobs never reads it.
//!
//! `closed_through` is an id. Each job up to it is settled, or listed as a *straggler*, or lies in an *open range*: how a
//! stretch with too many unsettled jobs to list is left. Closing means to move it on, stretch by stretch, to two
//! minutes ago; sweeping means to take stragglers and ranges that have been settled since off their lists.
//!
//! Nothing may come in behind `closed_through` unseen. A row whose id is younger than a minute when its statement
//! begins is committed by a transaction that held a lock on `haul.job` from then on: closing notes who holds such a
//! lock, and waits until these have ended. A row whose id is older lists itself as a straggler (`accept.sql`). See
//! docs/decisions/0010.
//!
//! One process at a time does this; others that try meanwhile do nothing. A call ends soon: the rows that it has touched stay locked until then.

use crate::{
    ledger::Shared,
    pool::in_time,
    receipts,
    unsettled::{predecessor, successor},
};
use haul_core::{JobId, ledger::Result};
use sqlx::{Connection, PgConnection};
use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};
use uuid::Uuid;

/// How long a call goes on beginning new stretches: less than others wait for a lock.
const WORK_TIME_MAX: Duration = Duration::from_millis(300);
/// Jobs of a stretch.
const STRETCH_JOBS_MAX: usize = 20_000;
/// Up to so many unsettled jobs of a stretch are listed in any case; beyond, if they are at most an eighth of it.
const LISTED_MIN: usize = 1_000;
/// Stragglers looked at together.
const SWEEP_MAX: usize = 5_000;

/// The row of `haul.closing`, locked.
struct Closing {
    closed_through: Uuid,
    next_through: Option<Uuid>,
    waits_for: Vec<String>,
    swept_through: Uuid,
}

/// A bounded stretch of jobs and those of them that are unsettled.
struct Stretch {
    first: Uuid,
    /// The last job, or the end of what was asked for when there are no more.
    end: Uuid,
    /// Whether it holds as many jobs as it may: then more may follow.
    is_full: bool,
    last: Uuid,
    unsettled: Vec<Uuid>,
}

pub(crate) async fn close_minutes(ledger: &Shared) -> Result<u64> {
    let mut lent = ledger.connections.lend().await?;
    let patience = lent.patience();
    let end = Instant::now() + WORK_TIME_MAX;
    let closed = in_time(patience * 4, close(lent.connection(), end)).await?;
    lent.give_back();
    receipts::forget(&ledger.connections).await?;
    Ok(closed)
}

async fn close(connection: &mut PgConnection, end: Instant) -> sqlx::Result<u64> {
    let mut transaction = connection.begin().await?;
    let row = sqlx::query_file!("sql/closing.sql").fetch_optional(&mut *transaction).await?;
    let Some(row) = row else {
        transaction.rollback().await?;
        return Ok(0);
    };
    let mut closing = Closing {
        closed_through: row.closed_through,
        next_through: row.next_through,
        waits_for: row.waits_for,
        swept_through: row.swept_through,
    };
    let minutes = closing.advance(&mut transaction, row.ripe_through, end).await?;
    let minutes = minutes + close_ranges(&mut transaction, end).await?;
    let minutes = minutes + closing.sweep(&mut transaction, end).await?;
    closing.save(&mut transaction).await?;
    transaction.commit().await?;
    Ok(minutes)
}

impl Closing {
    /// Moves `closed_through` on. Returns how many minutes of the passed stretches hold nothing unsettled.
    async fn advance(&mut self, connection: &mut PgConnection, ripe: Uuid, end: Instant) -> sqlx::Result<u64> {
        let writers = sqlx::query_file!("sql/writers.sql").fetch_one(&mut *connection).await?.transactions;
        let goal = match self.next_through {
            Some(goal) => goal,
            None if ripe > self.closed_through => {
                self.next_through = Some(ripe);
                self.waits_for = writers.clone();
                ripe
            }
            None => return Ok(0),
        };
        if self.waits_for.iter().any(|waited_for| writers.contains(waited_for)) {
            return Ok(0);
        }
        self.waits_for.clear();
        let mut minutes = 0;
        while self.closed_through < goal && Instant::now() < end {
            let Some(stretch) = look(connection, self.closed_through, goal).await? else {
                self.closed_through = goal;
                break;
            };
            if stretch.is_sparse() {
                list(connection, &stretch.unsettled).await?;
            } else {
                sqlx::query_file!("sql/add_range.sql", stretch.first, stretch.last).execute(&mut *connection).await?;
            }
            minutes += stretch.settled_minutes();
            self.closed_through = stretch.end;
        }
        if self.closed_through >= goal {
            self.next_through = None;
        }
        Ok(minutes)
    }

    /// Takes stragglers that have ended off the list, the next few, and on while it is worth it. Returns how many
    /// minutes hold none any more.
    async fn sweep(&mut self, connection: &mut PgConnection, end: Instant) -> sqlx::Result<u64> {
        let mut minutes = 0;
        loop {
            let limit = i64::try_from(SWEEP_MAX).unwrap_or(i64::MAX);
            let page = sqlx::query_file!("sql/stragglers.sql", self.swept_through, Uuid::max(), limit);
            let ids: Vec<Uuid> = page.fetch_all(&mut *connection).await?.into_iter().map(|row| row.id).collect();
            let (Some(first), Some(last)) = (ids.first(), ids.last()) else {
                self.swept_through = Uuid::nil();
                return Ok(minutes);
            };
            self.swept_through = if ids.len() < SWEEP_MAX { Uuid::nil() } else { *last };
            let waiting = sqlx::query_file!("sql/waiting_ids.sql", &ids, first, last);
            let waiting: Vec<Uuid> = waiting.fetch_all(&mut *connection).await?.into_iter().map(|row| row.id).collect();
            if waiting.len() < ids.len() {
                sqlx::query_file!("sql/drop_stragglers.sql", &ids, &waiting).execute(&mut *connection).await?;
                let (of_ids, of_waiting) = (minutes_of(&ids), minutes_of(&waiting));
                minutes += of_ids.difference(&of_waiting).count() as u64;
            }
            let is_worth_it = waiting.len() * 2 < ids.len();
            if !is_worth_it || ids.len() < SWEEP_MAX || Instant::now() >= end {
                return Ok(minutes);
            }
        }
    }

    async fn save(&self, connection: &mut PgConnection) -> sqlx::Result<()> {
        let (next, waits_for) = (self.next_through, &self.waits_for);
        sqlx::query_file!("sql/save_closing.sql", self.closed_through, next, waits_for, self.swept_through)
            .execute(connection)
            .await?;
        Ok(())
    }
}

/// Looks again at open ranges, the one that waited longest first, and lists what is left of those that have thinned
/// out.
async fn close_ranges(connection: &mut PgConnection, end: Instant) -> sqlx::Result<u64> {
    let mut minutes = 0;
    while Instant::now() < end {
        let range = sqlx::query_file!("sql/stalest_range.sql").fetch_optional(&mut *connection).await?;
        let Some(range) = range else { break };
        let stretch = look(connection, predecessor(range.first), range.last).await?;
        sqlx::query_file!("sql/drop_range.sql", range.first, range.last).execute(&mut *connection).await?;
        let Some(stretch) = stretch else { continue };
        if stretch.is_sparse() {
            list(connection, &stretch.unsettled).await?;
        } else {
            sqlx::query_file!("sql/add_range.sql", stretch.first, stretch.last).execute(&mut *connection).await?;
        }
        minutes += stretch.settled_minutes();
        if stretch.is_full && stretch.end < range.last {
            // A reopened range may be of any size: the rest of it comes next.
            sqlx::query_file!("sql/reopen.sql", successor(stretch.end), range.last).execute(&mut *connection).await?;
        }
    }
    Ok(minutes)
}

/// The first stretch after an id, up to and including another. `None` when there are no jobs.
async fn look(connection: &mut PgConnection, after: Uuid, last: Uuid) -> sqlx::Result<Option<Stretch>> {
    let offset = i64::try_from(STRETCH_JOBS_MAX - 1).unwrap_or(i64::MAX);
    let chunk = sqlx::query_file!("sql/chunk.sql", after, last, offset).fetch_one(&mut *connection).await?;
    let (Some(first), Some(last_job)) = (chunk.first, chunk.last) else { return Ok(None) };
    let end = chunk.full_last.unwrap_or(last);
    let limit = i64::try_from(STRETCH_JOBS_MAX).unwrap_or(i64::MAX);
    let unsettled = sqlx::query_file!("sql/unsettled_ids.sql", after, end, limit).fetch_all(connection).await?;
    let unsettled = unsettled.into_iter().map(|row| row.id).collect();
    let is_full = chunk.full_last.is_some();
    Ok(Some(Stretch { first, end, is_full, last: chunk.full_last.unwrap_or(last_job), unsettled }))
}

async fn list(connection: &mut PgConnection, unsettled: &[Uuid]) -> sqlx::Result<()> {
    if !unsettled.is_empty() {
        sqlx::query_file!("sql/add_stragglers.sql", unsettled).execute(connection).await?;
    }
    Ok(())
}

impl Stretch {
    /// Whether its unsettled jobs are few enough to be listed.
    fn is_sparse(&self) -> bool {
        self.unsettled.len() <= LISTED_MIN || self.unsettled.len() <= STRETCH_JOBS_MAX / 8
    }

    /// How many minutes end in it and hold nothing unsettled, empty ones between its first and its last job included.
    fn settled_minutes(&self) -> u64 {
        let (first, last) = (minute_of(self.first), minute_of(self.last));
        // The last minute of a full stretch goes on in the next.
        let passed = last - first + i64::from(!self.is_full);
        let open = minutes_of(&self.unsettled).range(first..first + passed).count();
        u64::try_from(passed).unwrap_or(0).saturating_sub(open as u64)
    }
}

fn minute_of(id: Uuid) -> i64 {
    JobId(id).created_at().minute()
}

fn minutes_of(ids: &[Uuid]) -> BTreeSet<i64> {
    ids.iter().copied().map(minute_of).collect()
}

pub(crate) async fn reopen(ledger: &Shared, first: JobId, last: JobId) -> Result<()> {
    let (first, last) = (first.min(last).0, first.max(last).0);
    crate::pool::ask!(ledger.connections, c => sqlx::query_file!("sql/reopen.sql", first, last).execute(c))?;
    Ok(())
}
