//! Recording how attempts ended. The first outcome stays.

use super::{
    accept::store,
    error::ledger_error,
    job::{count, final_state},
    queues,
    rows::{Rows, hex},
    writer::Writer,
};
use haul_core::{
    Job, JobError, JobId, ProcessId, Tenant, Timestamp,
    ledger::{BatchRecorded, Cancelled, Entry, Record, Recorded, Result},
    outcome::FinalState,
};
use sqlx::SqliteConnection;
use std::collections::{HashMap, HashSet};
use uuid::Uuid;

pub(super) async fn record(
    writer: &Writer,
    records: &[Record],
    owner: ProcessId,
    now: Timestamp,
) -> Result<BatchRecorded> {
    if records.is_empty() {
        return Ok(BatchRecorded { records: Vec::new(), receipt: None });
    }
    let mut tx = writer.begin().await?;
    let answers = measure(&mut tx.conn, records).await?;
    let staying = records.iter().zip(&answers).filter(|(_, answer)| **answer == Recorded::Committed);
    let mut staying: Vec<&Record> = staying.map(|(record, _)| record).collect();
    let follow_ups: Vec<&Job> = staying.iter().flat_map(|record| &record.follow_ups).collect();
    let unknown = match queues::unknown(&tx.kinds, &follow_ups) {
        Ok(unknown) => unknown,
        Err(refusal) => {
            tx.leave().await?;
            return Err(refusal);
        }
    };
    queues::learn(&mut tx, unknown, now).await?;
    let receipt = store(&mut tx, follow_ups, owner, now).await?;
    staying.sort_unstable_by_key(|record| (record.job, record.attempt));
    write(&mut tx.conn, &staying).await?;
    let ended = staying.iter().filter(|record| !is_failure(record));
    tx.settled(ended.map(|record| &record.job)).await?;
    tx.commit().await?;
    Ok(BatchRecorded { records: answers, receipt })
}

fn is_failure(record: &Record) -> bool {
    matches!(record.entry, Entry::Failed(..) | Entry::Crashed(..))
}

/// Decides which records stay: against what is written, and against earlier records of the batch.
async fn measure(conn: &mut SqliteConnection, records: &[Record]) -> Result<Vec<Recorded>> {
    let mut ended = stale(&mut *conn, records).await?;
    let failed = records.iter().filter(|record| is_failure(record));
    let mut tried = tried(conn, failed.map(|record| &record.job).collect()).await?;
    let mut stays = |record: &Record| match record.entry {
        Entry::Failed(..) | Entry::Crashed(..) => {
            !ended.contains(&record.job) && tried.insert((record.job, record.attempt))
        }
        Entry::Succeeded(_) | Entry::Dead(_) => ended.insert(record.job),
    };
    let answer = |record| if stays(record) { Recorded::Committed } else { Recorded::Stale };
    Ok(records.iter().map(answer).collect())
}

/// The jobs that take no more records.
async fn stale(conn: &mut SqliteConnection, records: &[Record]) -> Result<HashSet<JobId>> {
    let mut by_tenant: HashMap<&Tenant, Vec<&JobId>> = HashMap::new();
    for record in records {
        by_tenant.entry(&record.tenant).or_default().push(&record.job);
    }
    let mut stale = HashSet::new();
    for (tenant, jobs) in by_tenant {
        let jobs = hex(jobs);
        let query = sqlx::query_file!("sql/record_stale.sql", jobs, tenant.as_str());
        stale.extend(query.fetch_all(&mut *conn).await.map_err(ledger_error)?.into_iter().map(|row| JobId(row.id)));
    }
    Ok(stale)
}

/// The failed attempts of jobs.
async fn tried(conn: &mut SqliteConnection, jobs: HashSet<&JobId>) -> Result<HashSet<(JobId, u32)>> {
    if jobs.is_empty() {
        return Ok(HashSet::new());
    }
    let jobs = hex(jobs);
    let rows = sqlx::query_file!("sql/tried.sql", jobs).fetch_all(conn).await.map_err(ledger_error)?;
    rows.into_iter().map(|row| Ok((JobId(row.job), count(row.attempt)?))).collect()
}

async fn write(conn: &mut SqliteConnection, records: &[&Record]) -> Result<()> {
    let (mut outcomes, mut failures) = (Rows::default(), Rows::default());
    for record in records {
        let end =
            |state, result, error| End { job: record.job, tenant: &record.tenant, at: record.at, state, result, error };
        match &record.entry {
            Entry::Succeeded(result) => {
                end(FinalState::Succeeded, result.as_deref(), None).add(record.attempt, &mut outcomes)
            }
            Entry::Dead(error) => end(FinalState::Dead, None, Some(error)).add(record.attempt, &mut outcomes),
            Entry::Failed(error, retry_at) | Entry::Crashed(error, retry_at) => failures.add(|row| {
                row.id(record.job)
                    .int(record.attempt.into())
                    .time(record.at)
                    .time(*retry_at)
                    .int(matches!(record.entry, Entry::Crashed(..)).into())
                    .bytes(Some(error.message.as_bytes()))
                    .bytes(error.detail.as_deref().map(str::as_bytes));
            }),
        }
    }
    write_outcomes(conn, outcomes).await?;
    for chunk in failures.chunks() {
        let insert = sqlx::query_file!("sql/record_failures.sql", chunk.rows, chunk.data);
        insert.execute(&mut *conn).await.map_err(ledger_error)?;
    }
    Ok(())
}

/// How a job ended.
struct End<'a> {
    job: JobId,
    tenant: &'a Tenant,
    at: Timestamp,
    state: FinalState,
    result: Option<&'a [u8]>,
    error: Option<&'a JobError>,
}

impl End<'_> {
    fn add(&self, attempt: u32, outcomes: &mut Rows) {
        outcomes.add(|row| {
            row.id(self.job)
                .time(self.at)
                .int(attempt.into())
                .int(self.state.code().into())
                .name(self.tenant.as_str())
                .bytes(self.result)
                .bytes(self.error.map(|error| error.message.as_bytes()))
                .bytes(self.error.and_then(|error| error.detail.as_deref()).map(str::as_bytes));
        });
    }
}

async fn write_outcomes(conn: &mut SqliteConnection, outcomes: Rows) -> Result<()> {
    for chunk in outcomes.chunks() {
        let insert = sqlx::query_file!("sql/record_outcomes.sql", chunk.rows, chunk.data);
        insert.execute(&mut *conn).await.map_err(ledger_error)?;
    }
    Ok(())
}

pub(super) async fn cancel(writer: &Writer, tenant: &Tenant, ids: &[JobId], at: Timestamp) -> Result<Vec<Cancelled>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let mut tx = writer.begin().await?;
    let asked = hex(ids.iter().collect::<HashSet<_>>());
    let found = sqlx::query_file!("sql/cancel_look.sql", asked, tenant.as_str()).fetch_all(&mut tx.conn).await;
    let mut jobs = HashMap::new();
    for row in found.map_err(ledger_error)? {
        let state = row.state.map(final_state).transpose()?;
        jobs.insert(JobId(row.id), (state, count(row.failures)?, row.has_sent));
    }
    let (mut outcomes, mut cancelled) = (Rows::default(), Vec::new());
    let cancel = |id: &JobId| match jobs.get_mut(id) {
        None => Cancelled::Unknown,
        Some((Some(state), ..)) => Cancelled::Already(*state),
        Some((None, _, true)) => Cancelled::TooLate,
        Some((state, failures, false)) => {
            let end = FinalState::Cancelled;
            End { job: *id, tenant, at, state: end, result: None, error: None }.add(*failures, &mut outcomes);
            *state = Some(end);
            cancelled.push(*id);
            Cancelled::Now
        }
    };
    let answers = ids.iter().map(cancel).collect();
    write_outcomes(&mut tx.conn, outcomes).await?;
    tx.settled(cancelled.iter()).await?;
    tx.commit().await?;
    Ok(answers)
}
