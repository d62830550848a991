//! Retention: jobs that have ended are deleted in slices, each a short transaction of its own.
//!
//! There are no partitions, so that a day is closed by remembering its end: ids before it are refused from then on. What
//! outlives its day stays where it is. A round goes over all jobs that have ended and are old enough, from the oldest on;
//! where it goes on is written down with each slice. Pages that become free are used again; they are given back to the
//! file system where the database was made with `auto_vacuum = incremental`.

use super::{
    error::ledger_error,
    keys,
    rows::hex,
    writer::{Retention as Position, Tx, Writer},
};
use haul_core::{
    JobId, Timestamp,
    ledger::{LedgerError, Result},
    maintenance::{DayClosed, Progress, Retained, Retention, open_from},
};
use uuid::Uuid;

/// Jobs per transaction: some ten milliseconds, for which other writes wait.
const SLICE_MAX: i64 = 2_000;
/// Free pages given back per transaction.
const VACUUM: &str = "PRAGMA incremental_vacuum(1000)";
const START: JobId = JobId(Uuid::nil());

/// Refuses jobs that are new and of a closed day.
pub(super) async fn refuse_late(tx: &mut Tx<'_>, ids: impl Iterator<Item = JobId>) -> Result<()> {
    let closed_before = tx.retention.closed_before;
    let late: Vec<JobId> = ids.filter(|id| *id < closed_before).collect();
    if late.is_empty() {
        return Ok(());
    }
    let late = hex(late.iter());
    let unknown = sqlx::query_file!("sql/late_unknown.sql", late).fetch_optional(&mut tx.conn).await;
    match unknown.map_err(ledger_error)? {
        Some(unknown) => Err(LedgerError::Refused(Box::new(DayClosed(JobId(unknown.id))))),
        None => Ok(()),
    }
}

/// Closes what may be closed, and deletes the next slice.
pub(super) async fn retain(writer: &Writer, retention: &Retention, now: Timestamp) -> Result<Retained> {
    let mut tx = writer.begin().await?;
    let mut retained = Retained::default();
    let mut position = tx.retention;
    let open_from = open_from(now);
    if position.closed_before < open_from {
        position.closed_before = open_from;
        retained.days_closed = 1;
    }
    let keeps_from = retention.keeps_from(now);
    let ended = ended(&mut tx, position.deleted_before, keeps_from).await?;
    let due = ended.iter().filter(|(id, finished_at)| retention.drops(*id, *finished_at, now));
    let due: Vec<JobId> = due.map(|(id, _)| *id).collect();
    if !due.is_empty() {
        let ids = hex(due.iter());
        // A job is gone when its row is: in one transaction with what belongs to it.
        for delete in [
            sqlx::query_file!("sql/delete_jobs.sql", ids),
            sqlx::query_file!("sql/delete_failures.sql", ids),
            sqlx::query_file!("sql/delete_outcomes.sql", ids),
        ] {
            delete.execute(&mut tx.conn).await.map_err(ledger_error)?;
        }
        sqlx::query(VACUUM).fetch_all(&mut tx.conn).await.map_err(ledger_error)?;
        retained.jobs_deleted = due.len() as u64;
    }
    (position.deleted_before, retained.more) = next(&ended);
    save(tx, position).await?;
    Ok(retained)
}

/// Erases what the next slice of jobs were given and gave back.
pub(super) async fn erase_payloads(writer: &Writer, before: Timestamp) -> Result<Progress> {
    let mut tx = writer.begin().await?;
    let mut position = tx.retention;
    let before = JobId::floor(before).min(position.closed_before);
    let ended = ended(&mut tx, position.erased_before, before).await?;
    let ids = hex(ended.iter().map(|(id, _)| id));
    let erase = sqlx::query_file!("sql/erase_payloads.sql", ids).execute(&mut tx.conn).await;
    let done = erase.map_err(ledger_error)?.rows_affected();
    for erase in [sqlx::query_file!("sql/erase_results.sql", ids), sqlx::query_file!("sql/erase_details.sql", ids)] {
        erase.execute(&mut tx.conn).await.map_err(ledger_error)?;
    }
    let more;
    (position.erased_before, more) = next(&ended);
    save(tx, position).await?;
    Ok(Progress { done, more })
}

pub(super) async fn expire_keys(writer: &Writer, limit: usize, now: Timestamp) -> Result<Progress> {
    let done = keys::forget(writer, now, limit).await?;
    Ok(Progress { done, more: limit > 0 && done >= limit as u64 })
}

/// The next jobs that have ended, with when they did.
async fn ended(tx: &mut Tx<'_>, from: JobId, before: JobId) -> Result<Vec<(JobId, Timestamp)>> {
    let rows = sqlx::query_file!("sql/ended_next.sql", from.0, before.0, SLICE_MAX).fetch_all(&mut tx.conn).await;
    let rows = rows.map_err(ledger_error)?;
    Ok(rows.into_iter().map(|row| (JobId(row.id), Timestamp::from_ms(row.finished_at))).collect())
}

/// Where the round goes on, and whether it does: after its end it begins anew.
fn next(slice: &[(JobId, Timestamp)]) -> (JobId, bool) {
    match slice.last() {
        Some((last, _)) if slice.len() as i64 == SLICE_MAX => {
            (JobId(Uuid::from_u128(last.0.as_u128().saturating_add(1))), true)
        }
        _ => (START, false),
    }
}

/// Commits the slice with where the next one begins.
async fn save(mut tx: Tx<'_>, position: Position) -> Result<()> {
    let Position { closed_before, deleted_before, erased_before } = position;
    let write = sqlx::query_file!("sql/retention_move.sql", closed_before.0, deleted_before.0, erased_before.0);
    write.execute(&mut tx.conn).await.map_err(ledger_error)?;
    tx.retention = position;
    tx.commit().await
}
