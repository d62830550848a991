//! A job's columns, in both directions.

use super::{
    error::{corrupt, ledger_error},
    rows::Rows,
};
use haul_core::{
    Job, JobId, JobOptions, Kind, Priority, Queue, QueueRef, Tenant, Timestamp,
    ledger::{LedgerError, Result},
    outcome::{FinalState, JobError},
};
use sqlx::SqliteConnection;
use uuid::Uuid;

/// The columns of the table `job`.
pub(super) struct JobColumns {
    pub(super) id: Uuid,
    pub(super) run_at: i64,
    pub(super) priority: i64,
    pub(super) tenant: String,
    pub(super) queue: String,
    pub(super) kind: String,
    pub(super) payload: Vec<u8>,
    pub(super) options: Option<String>,
}

impl TryFrom<JobColumns> for Job {
    type Error = LedgerError;
    fn try_from(columns: JobColumns) -> Result<Self> {
        let queue = queue_ref(columns.tenant, columns.queue)?;
        Ok(Self {
            id: JobId(columns.id),
            tenant: queue.tenant,
            queue: queue.queue,
            kind: kind(columns.kind)?,
            priority: priority(columns.priority)?,
            run_at: Timestamp::from_ms(columns.run_at),
            payload: columns.payload.into(),
            options: JobOptions::decode(columns.options.as_deref()).map_err(corrupt)?,
        })
    }
}

/// Inserts jobs, which are in order of id.
pub(super) async fn insert(conn: &mut SqliteConnection, jobs: &[&Job]) -> Result<()> {
    let mut rows = Rows::default();
    for job in jobs {
        let options = job.options.encode();
        rows.add(|row| {
            row.id(job.id)
                .time(job.run_at)
                .int(job.priority.get().into())
                .name(job.tenant.as_str())
                .name(job.queue.as_str())
                .name(job.kind.as_str())
                .bytes(Some(&job.payload))
                .bytes(options.as_deref().map(str::as_bytes));
        });
    }
    for chunk in rows.chunks() {
        let insert = sqlx::query_file!("sql/accept_jobs.sql", chunk.rows, chunk.data);
        insert.execute(&mut *conn).await.map_err(ledger_error)?;
    }
    Ok(())
}

pub(super) fn queue_ref(tenant: String, queue: String) -> Result<QueueRef> {
    Ok(QueueRef { tenant: Tenant::new(tenant).map_err(corrupt)?, queue: Queue::new(queue).map_err(corrupt)? })
}

pub(super) fn kind(kind: String) -> Result<Kind> {
    Kind::new(kind).map_err(corrupt)
}

pub(super) fn priority(stored: i64) -> Result<Priority> {
    let priority = u8::try_from(stored).ok().and_then(Priority::new);
    priority.ok_or_else(|| corrupt(format!("{stored} is no priority")))
}

pub(super) fn final_state(stored: i64) -> Result<FinalState> {
    let state = i16::try_from(stored).ok().and_then(FinalState::from_code);
    state.ok_or_else(|| corrupt(format!("{stored} is no final state")))
}

pub(super) fn count(stored: i64) -> Result<u32> {
    u32::try_from(stored).map_err(corrupt)
}

/// As it was stored: cleaned and cut before.
pub(super) fn job_error(message: String, detail: Option<String>) -> JobError {
    JobError { message, detail }
}
