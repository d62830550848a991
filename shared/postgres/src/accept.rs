//! Accepting jobs: one statement, one round trip, one commit per batch. Only a batch that names a new queue or kind
//! takes more.

use crate::{
    columns::JobColumns,
    ledger::Shared,
    partitions,
    pool::{ask, in_time},
    queues::Unknown,
};
use haul_core::{
    JobId, ProcessId,
    ledger::{Accepted, BatchAccepted, Idempotency, NewJob, ReceiptId, Result},
};
use sqlx::{Connection, PgConnection};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

pub(crate) async fn accept(
    ledger: &Shared,
    jobs: &[NewJob],
    owner: ProcessId,
    done: &[ReceiptId],
) -> Result<BatchAccepted> {
    if jobs.is_empty() {
        crate::receipts::drop_receipts(&ledger.connections, done).await?;
        return Ok(BatchAccepted { jobs: Vec::new(), receipt: None });
    }
    let done: Vec<Uuid> = done.iter().map(|receipt| receipt.0.0).collect();
    let answer = send(ledger, jobs, owner, &done).await;
    let ids: Vec<JobId> = jobs.iter().map(|new| new.job.id).collect();
    if partitions::made_for(&ledger.connections, &answer, &ids).await? {
        return send(ledger, jobs, owner, &done).await;
    }
    answer
}

async fn send(ledger: &Shared, jobs: &[NewJob], owner: ProcessId, done: &[Uuid]) -> Result<BatchAccepted> {
    if let Some(unknown) = ledger.queues.unknown_of(jobs.iter().map(|new| &new.job)) {
        return send_and_register(ledger, unknown, jobs, owner, done).await;
    }
    if Keys::of(jobs).is_none() && !ledger.sent_again.is_called_for() {
        let answer = ask!(ledger.connections, c => write_new(c, jobs, owner, done));
        if !ledger.sent_again.is_taught_by(&answer) {
            return answer;
        }
    }
    ask!(ledger.connections, c => write(c, jobs, owner, done))
}

/// A transaction that makes what it names known.
async fn send_and_register(
    ledger: &Shared,
    unknown: Unknown,
    jobs: &[NewJob],
    owner: ProcessId,
    done: &[Uuid],
) -> Result<BatchAccepted> {
    let mut lent = ledger.connections.lend().await?;
    let patience = lent.patience();
    let mut transaction = in_time(patience, lent.connection().begin()).await?;
    in_time(patience, unknown.wait_for_turn(&mut transaction)).await?;
    let answer = in_time(patience, write(&mut transaction, jobs, owner, done)).await?;
    let new = jobs.iter().zip(&answer.jobs).filter(|(_, answer)| **answer == Accepted::New);
    let registered = unknown.register(&mut transaction, patience, new.map(|(new, _)| &new.job)).await;
    if registered.is_ok() {
        in_time(patience, transaction.commit()).await?;
    } else {
        in_time(patience, transaction.rollback()).await?;
    }
    lent.give_back();
    ledger.queues.remember(registered?);
    Ok(answer)
}

/// Writes a batch, whatever is there already.
pub(crate) async fn write(
    connection: &mut PgConnection,
    jobs: &[NewJob],
    owner: ProcessId,
    done: &[Uuid],
) -> sqlx::Result<BatchAccepted> {
    match Keys::of(jobs) {
        None => write_again(connection, jobs, owner, done).await,
        Some(keys) => write_keyed(connection, jobs, &keys, owner, done).await,
    }
}

/// The two statements for batches without keys are given the same.
macro_rules! insert {
    ($statement:literal, $columns:ident, $owner:ident, $done:ident) => {
        sqlx::query_file!(
            $statement,
            &$columns.ids,
            &$columns.run_ats,
            &$columns.priorities,
            &$columns.tenants as &[&str],
            &$columns.queues as &[&str],
            &$columns.kinds as &[&str],
            &$columns.payloads as &[&[u8]],
            &$columns.options as &[Option<String>],
            $owner.0,
            $done,
        )
    };
}

/// Writes a batch without keys of which nothing is there yet.
async fn write_new(
    connection: &mut PgConnection,
    jobs: &[NewJob],
    owner: ProcessId,
    done: &[Uuid],
) -> sqlx::Result<BatchAccepted> {
    let columns = JobColumns::of(jobs.iter().map(|new| &new.job));
    insert!("sql/accept.sql", columns, owner, done).execute(connection).await?;
    Ok(all_new(jobs, &columns))
}

/// Writes a batch without keys of which some may be there already.
async fn write_again(
    connection: &mut PgConnection,
    jobs: &[NewJob],
    owner: ProcessId,
    done: &[Uuid],
) -> sqlx::Result<BatchAccepted> {
    let columns = JobColumns::of(jobs.iter().map(|new| &new.job));
    insert!("sql/accept_again.sql", columns, owner, done).execute(connection).await?;
    Ok(all_new(jobs, &columns))
}

/// The answer to a batch without keys.
fn all_new(jobs: &[NewJob], columns: &JobColumns<'_>) -> BatchAccepted {
    let receipt = columns.ids.first().map(|first| ReceiptId(JobId(*first)));
    BatchAccepted { jobs: vec![Accepted::New; jobs.len()], receipt }
}

/// A tenant's key.
type Slot<'a> = (&'a str, &'a str);

/// The first job of the batch under each key, and that job's promise.
struct Keys<'a>(BTreeMap<Slot<'a>, (JobId, &'a Idempotency)>);

impl<'a> Keys<'a> {
    /// `None` when no job has a key.
    fn of(jobs: &'a [NewJob]) -> Option<Self> {
        let mut first = BTreeMap::new();
        for new in jobs {
            if let (Some(slot), Some(idempotency)) = (slot(new), &new.idempotency) {
                first.entry(slot).or_insert((new.job.id, idempotency));
            }
        }
        (!first.is_empty()).then_some(Self(first))
    }

    /// Whether the job may be stored, as far as this batch tells: it has no key, or is the first one under its key.
    fn admit(&self, new: &NewJob) -> bool {
        slot(new).is_none_or(|slot| self.0.get(&slot).is_some_and(|(first, _)| *first == new.job.id))
    }
}

fn slot(new: &NewJob) -> Option<Slot<'_>> {
    let idempotency = new.idempotency.as_ref()?;
    Some((new.job.tenant.as_str(), idempotency.key.as_str()))
}

async fn write_keyed(
    connection: &mut PgConnection,
    jobs: &[NewJob],
    keys: &Keys<'_>,
    owner: ProcessId,
    done: &[Uuid],
) -> sqlx::Result<BatchAccepted> {
    let columns = JobColumns::of(jobs.iter().filter(|new| keys.admit(new)).map(|new| &new.job));
    let tenants: Vec<&str> = keys.0.keys().map(|(tenant, _)| *tenant).collect();
    let names: Vec<&str> = keys.0.keys().map(|(_, key)| *key).collect();
    let fingerprints: Vec<&[u8]> = keys.0.values().map(|(_, asked)| asked.fingerprint.as_slice()).collect();
    let firsts: Vec<Uuid> = keys.0.values().map(|(job, _)| job.0).collect();
    let lifetimes_ms = keys.0.values().map(|(_, asked)| i64::try_from(asked.lifetime.as_millis()).unwrap_or(i64::MAX));
    let lifetimes_ms: Vec<i64> = lifetimes_ms.map(|ms| ms.min(haul_core::limits::AHEAD_MS_MAX)).collect();
    let rows = sqlx::query_file!(
        "sql/accept_keyed.sql",
        &columns.ids,
        &columns.run_ats,
        &columns.priorities,
        &columns.tenants as &[&str],
        &columns.queues as &[&str],
        &columns.kinds as &[&str],
        &columns.payloads as &[&[u8]],
        &columns.options as &[Option<String>],
        owner.0,
        done,
        &tenants as &[&str],
        &names as &[&str],
        &fingerprints as &[&[u8]],
        &firsts,
        &lifetimes_ms,
    )
    .fetch_all(connection)
    .await?;
    let mut holders = BTreeMap::new();
    for row in &rows {
        holders.insert((row.tenant.as_str(), row.key.as_str()), (JobId(row.job), row.fingerprint.as_slice()));
    }
    let answers: Vec<Accepted> = jobs.iter().map(|new| answer(new, &holders)).collect();
    let fresh = jobs.iter().zip(&answers).filter(|(_, answer)| **answer == Accepted::New);
    let fresh: BTreeSet<JobId> = fresh.map(|(new, _)| new.job.id).collect();
    Ok(BatchAccepted { jobs: answers, receipt: fresh.first().copied().map(ReceiptId) })
}

/// What became of a job, given who holds each key now.
fn answer(new: &NewJob, holders: &BTreeMap<Slot<'_>, (JobId, &[u8])>) -> Accepted {
    let (Some(slot), Some(asked)) = (slot(new), &new.idempotency) else { return Accepted::New };
    match holders.get(&slot) {
        Some((holder, _)) if *holder == new.job.id => Accepted::New,
        Some((holder, fingerprint)) if *fingerprint == asked.fingerprint => Accepted::Replayed(*holder),
        // The statement answers for each key, so that a holder is never absent.
        _ => Accepted::KeyReused,
    }
}
