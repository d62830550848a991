//! Closing history, minute by minute, so that looking for unsettled jobs never reads it.
//!
//! Below `closed_through` the unsettled jobs are exactly the stragglers: closing a stretch makes them so, a job that comes
//! late is made one by its own commit, and its outcome's commit ends that. Nothing is ever looked for, and no minute has
//! to wait for its last job. See docs/decisions/0032-closed-minutes-in-sqlite.md.

use super::{
    error::ledger_error,
    writer::{Tx, Writer},
};
use haul_core::{JobId, Timestamp, ledger::Result};
use std::{collections::BTreeSet, time::Duration};
use uuid::Uuid;

/// How long after its end a minute is closed: most of its jobs have ended by then.
const GRACE: Duration = Duration::from_secs(60);
/// Jobs that one transaction looks at: some ten milliseconds, for which other writes wait.
const STEP_JOBS: i64 = 10_000;
/// Transactions per call: two million jobs.
const STEPS_MAX: usize = 200;
/// Length of a minute of ids.
const MINUTE_MS: i64 = 60_000;

/// Closes what is old enough. A minute counts as closed when none of its jobs is a straggler, any more.
pub(super) async fn close_minutes(writer: &Writer, now: Timestamp) -> Result<u64> {
    let until = minute_start(now.minus(GRACE).minute());
    let mut closed = count_ended(writer).await?;
    for _ in 0..STEPS_MAX {
        let mut tx = writer.begin().await?;
        match close_some(&mut tx, until).await? {
            Some(count) => {
                tx.commit().await?;
                closed += count;
            }
            None => {
                tx.leave().await?;
                break;
            }
        }
    }
    Ok(closed)
}

/// Closes the next minute that has jobs, or as much of it as one step may. Returns how many minutes were closed; `None`
/// when there is nothing to close.
async fn close_some(tx: &mut Tx<'_>, until: JobId) -> Result<Option<u64>> {
    let from = tx.closed_through;
    let first = sqlx::query_file!("sql/close_next.sql", from.0, until.0).fetch_optional(&mut tx.conn).await;
    let Some(first) = first.map_err(ledger_error)? else { return Ok(None) };
    let minute = JobId(first.id).created_at().minute();
    let end = minute_start(minute + 1);
    let window = sqlx::query_file!("sql/close_window.sql", from.0, end.0, STEP_JOBS);
    let window = window.fetch_one(&mut tx.conn).await.map_err(ledger_error)?;
    let through = match window.last {
        Some(last) if window.jobs == STEP_JOBS => JobId(Uuid::from_u128(last.as_u128().saturating_add(1))),
        _ => end,
    };
    sqlx::query_file!("sql/close_keep.sql", from.0, through.0).execute(&mut tx.conn).await.map_err(ledger_error)?;
    sqlx::query_file!("sql/close_through.sql", through.0).execute(&mut tx.conn).await.map_err(ledger_error)?;
    tx.closed_through = through;
    let is_closed = through == end && !has_stragglers(tx, minute).await?;
    Ok(Some(u64::from(is_closed)))
}

/// How many of the minutes of which stragglers have ended have none left.
async fn count_ended(writer: &Writer) -> Result<u64> {
    let mut tx = writer.begin().await?;
    let minutes: BTreeSet<i64> = std::mem::take(&mut tx.ended_minutes);
    let mut closed = 0;
    for minute in minutes {
        closed += u64::from(!has_stragglers(&mut tx, minute).await?);
    }
    tx.leave().await?;
    Ok(closed)
}

async fn has_stragglers(tx: &mut Tx<'_>, minute: i64) -> Result<bool> {
    let (from, before) = (minute_start(minute), minute_start(minute + 1));
    let row = sqlx::query_file!("sql/stragglers_any.sql", from.0, before.0).fetch_one(&mut tx.conn).await;
    Ok(row.map_err(ledger_error)?.any)
}

fn minute_start(minute: i64) -> JobId {
    JobId::floor(Timestamp::from_ms(minute.saturating_mul(MINUTE_MS)))
}
