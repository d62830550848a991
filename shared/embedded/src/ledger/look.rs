//! Looking up by id: as a worker needs a job, and as a reader sees it.

use super::{
    error::{corrupt, ledger_error},
    job::{JobColumns, count, final_state, job_error},
    rows::hex,
};
use haul_core::{
    Job, JobId, Tenant, Timestamp,
    ledger::{Loaded, Result},
    outcome::{Failure, FinalState, JobRecord, Outcome},
};
use sqlx::{SqliteConnection, sqlite::SqlitePool};
use std::collections::HashSet;
use uuid::Uuid;

pub(super) async fn load(readers: &SqlitePool, ids: &[JobId]) -> Result<Vec<Loaded>> {
    let asked = hex(ids.iter().collect::<HashSet<_>>());
    let rows = sqlx::query_file!("sql/load.sql", asked).fetch_all(readers).await.map_err(ledger_error)?;
    let mut loaded = Vec::with_capacity(rows.len());
    for row in rows {
        let job = Job::try_from(JobColumns {
            id: row.id,
            run_at: row.run_at,
            priority: row.priority,
            tenant: row.tenant,
            queue: row.queue,
            kind: row.kind,
            payload: row.payload,
            options: row.options,
        })?;
        let due = row.retry_at.map_or(job.run_at, Timestamp::from_ms);
        let outcome = row.state.map(final_state).transpose()?;
        loaded.push(Loaded { job, failures: count(row.failures)?, crashes: count(row.crashes)?, due, outcome });
    }
    Ok(loaded)
}

pub(super) async fn settled(readers: &SqlitePool, ids: &[JobId]) -> Result<Vec<(JobId, FinalState)>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let asked = hex(ids.iter().collect::<HashSet<_>>());
    let rows = sqlx::query_file!("sql/settled.sql", asked).fetch_all(readers).await.map_err(ledger_error)?;
    rows.into_iter().map(|row| Ok((JobId(row.id), final_state(row.state)?))).collect()
}

pub(super) async fn job(readers: &SqlitePool, tenant: &Tenant, id: JobId) -> Result<Option<JobRecord>> {
    // One transaction: an attempt that is recorded meanwhile is seen as a whole or not at all.
    let mut tx = readers.begin().await.map_err(ledger_error)?;
    let record = records(&mut tx, &[id]).await?.pop().filter(|record| record.job.tenant == *tenant);
    let Some(mut record) = record else { return Ok(None) };
    if record.failure_count > 1 {
        record.failures = failures(&mut tx, id).await?;
    }
    Ok(Some(record))
}

async fn failures(conn: &mut SqliteConnection, id: JobId) -> Result<Vec<Failure>> {
    let rows = sqlx::query_file!("sql/failures.sql", id.0).fetch_all(conn).await.map_err(ledger_error)?;
    let mut failures = Vec::with_capacity(rows.len());
    for row in rows {
        failures.push(Failure {
            attempt: count(row.attempt)?,
            at: Timestamp::from_ms(row.at),
            error: job_error(row.error, row.error_detail),
            retry_at: Timestamp::from_ms(row.retry_at),
            crashed: row.crashed,
        });
    }
    Ok(failures)
}

/// Jobs as a reader sees them, newest first, each with its latest failure only.
pub(super) async fn records(conn: &mut SqliteConnection, ids: &[JobId]) -> Result<Vec<JobRecord>> {
    let asked = hex(ids);
    let rows = sqlx::query_file!("sql/look.sql", asked).fetch_all(conn).await.map_err(ledger_error)?;
    let mut records = Vec::with_capacity(rows.len());
    for row in rows {
        let job = Job::try_from(JobColumns {
            id: row.id,
            run_at: row.run_at,
            priority: row.priority,
            tenant: row.tenant,
            queue: row.queue,
            kind: row.kind,
            payload: row.payload,
            options: row.options,
        })?;
        let outcome = match (row.state, row.finished_at, row.final_attempt) {
            (None, ..) => None,
            (Some(state), Some(finished_at), Some(attempt)) => Some(Outcome {
                state: final_state(state)?,
                attempt: count(attempt)?,
                finished_at: Timestamp::from_ms(finished_at),
                result: row.result.map(Into::into),
                error: row.final_error.map(|error| job_error(error, row.final_error_detail)),
            }),
            _ => return Err(corrupt("an outcome without its columns")),
        };
        let failures = match (row.attempt, row.at, row.error, row.retry_at, row.crashed) {
            (None, ..) => Vec::new(),
            (Some(attempt), Some(at), Some(error), Some(retry_at), Some(crashed)) => vec![Failure {
                attempt: count(attempt)?,
                at: Timestamp::from_ms(at),
                error: job_error(error, row.error_detail),
                retry_at: Timestamp::from_ms(retry_at),
                crashed,
            }],
            _ => return Err(corrupt("a failure without its columns")),
        };
        records.push(JobRecord { job, failure_count: count(row.failures)?, failures, outcome });
    }
    records.sort_unstable_by_key(|record| std::cmp::Reverse(record.id()));
    Ok(records)
}
