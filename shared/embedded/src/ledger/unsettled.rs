//! Jobs without an outcome, for repair. Closed history is never read: its unsettled jobs are stragglers.

use super::{
    error::ledger_error,
    job::{kind, priority, queue_ref},
};
use haul_core::{
    JobId, Timestamp,
    ledger::{Result, Unsettled, UnsettledPage},
};
use sqlx::{SqliteConnection, sqlite::SqlitePool};
use uuid::Uuid;

/// Candidates that a page looks at in open history, at most.
const CANDIDATES_MAX: i64 = 5_000;

/// A row of both statements.
struct UnsettledRow {
    id: Uuid,
    tenant: String,
    queue: String,
    kind: String,
    priority: i64,
    due: i64,
}

impl TryFrom<UnsettledRow> for Unsettled {
    type Error = haul_core::ledger::LedgerError;
    fn try_from(row: UnsettledRow) -> Result<Self> {
        Ok(Self {
            id: JobId(row.id),
            queue: queue_ref(row.tenant, row.queue)?,
            kind: kind(row.kind)?,
            priority: priority(row.priority)?,
            due: Timestamp::from_ms(row.due),
        })
    }
}

pub(super) async fn unsettled(
    readers: &SqlitePool,
    after: Option<JobId>,
    last: Option<JobId>,
    limit: usize,
) -> Result<UnsettledPage> {
    // One transaction: what is closed meanwhile neither goes missing nor comes twice.
    let mut tx = readers.begin().await.map_err(ledger_error)?;
    let mut after = after.unwrap_or(JobId(Uuid::nil()));
    let last = last.unwrap_or(JobId(Uuid::max()));
    let limit = limit.clamp(1, 10_000);
    let closed = sqlx::query_file!("sql/closed_through.sql").fetch_one(&mut *tx).await.map_err(ledger_error)?;
    let mut jobs = Vec::new();
    // The ids below `closed_through` are closed: the last of them is just before it.
    if let Some(closed_last) = JobId(closed.closed_through).before()
        && after < closed_last
    {
        jobs = stragglers(&mut tx, after, last.min(closed_last), limit).await?;
        if jobs.len() == limit {
            return Ok(page(jobs));
        }
        after = closed_last;
    }
    let window = sqlx::query_file!("sql/unsettled_window.sql", after.0, last.0, CANDIDATES_MAX);
    let window = window.fetch_one(&mut *tx).await.map_err(ledger_error)?;
    let Some(window_last) = window.last else { return Ok(UnsettledPage { jobs, next: None }) };
    let room = limit - jobs.len();
    let open = open(&mut tx, after, JobId(window_last), room).await?;
    let is_full = open.len() == room;
    jobs.extend(open);
    if is_full {
        return Ok(page(jobs));
    }
    let more = window.candidates == CANDIDATES_MAX;
    Ok(UnsettledPage { jobs, next: more.then_some(JobId(window_last)) })
}

/// A full page: more may follow.
fn page(jobs: Vec<Unsettled>) -> UnsettledPage {
    let next = jobs.last().map(|job| job.id);
    UnsettledPage { jobs, next }
}

async fn stragglers(conn: &mut SqliteConnection, after: JobId, last: JobId, limit: usize) -> Result<Vec<Unsettled>> {
    let limit = limit as i64;
    let rows = sqlx::query_file_as!(UnsettledRow, "sql/unsettled_stragglers.sql", after.0, last.0, limit);
    rows.fetch_all(conn).await.map_err(ledger_error)?.into_iter().map(Unsettled::try_from).collect()
}

async fn open(conn: &mut SqliteConnection, after: JobId, last: JobId, limit: usize) -> Result<Vec<Unsettled>> {
    let limit = limit as i64;
    let rows = sqlx::query_file_as!(UnsettledRow, "sql/unsettled_open.sql", after.0, last.0, limit);
    rows.fetch_all(conn).await.map_err(ledger_error)?.into_iter().map(Unsettled::try_from).collect()
}
