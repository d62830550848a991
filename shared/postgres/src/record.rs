//! Recording how attempts ended: one statement, one round trip, one commit per batch.

#[cfg(feature = "broken")]
mod broken;

use crate::{
    columns::JobColumns,
    ledger::Shared,
    partitions,
    pool::{ask, in_time},
    queues::{Registered, Unknown},
    rows::attempt_column,
};
use chrono::{DateTime, Utc};
use haul_core::{
    FinalState, Job, JobError, JobId, ProcessId, Timestamp,
    ledger::{BatchRecorded, Entry, ReceiptId, Record, Recorded, Result},
};
use sqlx::{Connection, PgConnection};
use std::{
    collections::{BTreeMap, HashSet},
    time::Duration,
};
use uuid::Uuid;

/// The attempt that stands for "the outcome" where records are told apart.
const OUTCOME: i32 = -1;

/// What tells records apart: the job, and which of its attempts failed or [`OUTCOME`].
type Slot = (Uuid, i32);

pub(crate) async fn record(ledger: &Shared, records: &[Record], owner: ProcessId) -> Result<BatchRecorded> {
    if records.is_empty() {
        return Ok(BatchRecorded { records: Vec::new(), receipt: None });
    }
    let batch = Batch::of(records)?;
    let answer = send(ledger, &batch, owner).await;
    if partitions::made_for(&ledger.connections, &answer, &batch.ids()).await? {
        return send(ledger, &batch, owner).await;
    }
    answer
}

async fn send(ledger: &Shared, batch: &Batch<'_>, owner: ProcessId) -> Result<BatchRecorded> {
    let follow_ups = batch.records.iter().flat_map(|record| &record.follow_ups);
    if let Some(unknown) = ledger.queues.unknown_of(follow_ups) {
        return send_and_register(ledger, unknown, batch, owner).await;
    }
    let mut stays = write(ledger, batch, owner).await?;
    let left = batch.left(&stays);
    if !left.is_empty() {
        let left = Batch::of(&left)?;
        stays.extend(ask!(ledger.connections, c => left.write_kept(c, owner))?);
    }
    Ok(batch.answer(&stays))
}

/// Writes what is of jobs in their days' partitions. Returns what stays.
async fn write(ledger: &Shared, batch: &Batch<'_>, owner: ProcessId) -> Result<HashSet<Slot>> {
    if batch.is_plain() && !ledger.stale.is_called_for() {
        let stays = ask!(ledger.connections, c => batch.write_outcomes(c));
        if !ledger.stale.is_taught_by(&stays) {
            return stays;
        }
    }
    ask!(ledger.connections, c => batch.write(c, owner))
}

/// A transaction that makes what its follow-ups name known.
async fn send_and_register(
    ledger: &Shared,
    unknown: Unknown,
    batch: &Batch<'_>,
    owner: ProcessId,
) -> Result<BatchRecorded> {
    let mut lent = ledger.connections.lend().await?;
    let patience = lent.patience();
    let mut transaction = in_time(patience, lent.connection().begin()).await?;
    let recorded = write_and_register(&mut transaction, patience, batch, owner, Some(unknown)).await;
    if recorded.is_ok() {
        in_time(patience, transaction.commit()).await?;
    } else {
        in_time(patience, transaction.rollback()).await?;
    }
    lent.give_back();
    let (answer, registered) = recorded?;
    registered.into_iter().for_each(|registered| ledger.queues.remember(registered));
    Ok(answer)
}

/// Writes one record as the last statements of a transaction. Returns what is registered when it commits, too.
pub(crate) async fn record_within(
    connection: &mut PgConnection,
    ledger: &Shared,
    patience: Duration,
    record: &Record,
    owner: ProcessId,
) -> Result<(BatchRecorded, Option<Registered>)> {
    let batch = Batch::of(std::slice::from_ref(record))?;
    let unknown = ledger.queues.unknown_of(record.follow_ups.iter());
    write_and_register(connection, patience, &batch, owner, unknown).await
}

async fn write_and_register(
    connection: &mut PgConnection,
    patience: Duration,
    batch: &Batch<'_>,
    owner: ProcessId,
    unknown: Option<Unknown>,
) -> Result<(BatchRecorded, Option<Registered>)> {
    if let Some(unknown) = &unknown {
        in_time(patience, unknown.wait_for_turn(connection)).await?;
    }
    let mut stays = in_time(patience, batch.write(connection, owner)).await?;
    let left = batch.left(&stays);
    if !left.is_empty() {
        let left = Batch::of(&left)?;
        stays.extend(in_time(patience, left.write_kept(connection, owner)).await?);
    }
    let registered = match unknown {
        Some(unknown) => Some(unknown.register(connection, patience, batch.follow_ups_of(&stays)).await?),
        None => None,
    };
    Ok((batch.answer(&stays), registered))
}

#[derive(Default)]
struct Outcomes<'a> {
    ids: Vec<Uuid>,
    ats: Vec<DateTime<Utc>>,
    attempts: Vec<i32>,
    states: Vec<i16>,
    tenants: Vec<&'a str>,
    results: Vec<Option<&'a [u8]>>,
    errors: Vec<Option<&'a str>>,
    details: Vec<Option<&'a str>>,
}

#[derive(Default)]
struct Failures<'a> {
    jobs: Vec<Uuid>,
    tenants: Vec<&'a str>,
    attempts: Vec<i32>,
    ats: Vec<DateTime<Utc>>,
    retry_ats: Vec<DateTime<Utc>>,
    errors: Vec<&'a str>,
    details: Vec<Option<&'a str>>,
    crashed: Vec<bool>,
}

/// The records of a batch as columns, without those that an earlier one of the same batch makes stale.
struct Batch<'a> {
    records: &'a [Record],
    /// The slot of each record; `None` for those that are stale already.
    slots: Vec<Option<Slot>>,
    outcomes: Outcomes<'a>,
    failures: Failures<'a>,
    follow_ups: JobColumns<'a>,
    /// The record that each follow-up belongs to.
    of: Vec<Slot>,
    /// The lowest and the highest job of all records.
    low: Uuid,
    high: Uuid,
}

impl<'a> Batch<'a> {
    fn of(records: &'a [Record]) -> Result<Self> {
        let mut slots = Vec::with_capacity(records.len());
        // By slot, so that rows are written in the same order by everybody.
        let mut chosen: BTreeMap<Slot, &Record> = BTreeMap::new();
        for record in records {
            let slot = match record.entry {
                Entry::Failed(..) | Entry::Crashed(..) => (record.job.0, attempt_column(record.attempt)?),
                Entry::Succeeded(_) | Entry::Dead(_) => (record.job.0, OUTCOME),
            };
            let is_first = !chosen.contains_key(&slot) && !chosen.contains_key(&(record.job.0, OUTCOME));
            if is_first {
                chosen.insert(slot, record);
            }
            slots.push(is_first.then_some(slot));
        }
        let (mut outcomes, mut failures) = (Outcomes::default(), Failures::default());
        for record in chosen.values() {
            match &record.entry {
                Entry::Succeeded(result) => outcomes.push(record, FinalState::Succeeded, result.as_deref(), None)?,
                Entry::Dead(error) => outcomes.push(record, FinalState::Dead, None, Some(error))?,
                Entry::Failed(error, retry_at) => failures.push(record, error, *retry_at, false)?,
                Entry::Crashed(error, retry_at) => failures.push(record, error, *retry_at, true)?,
            }
        }
        let mut parents: Vec<(&Job, Slot)> = Vec::new();
        for (slot, record) in &chosen {
            parents.extend(record.follow_ups.iter().map(|follow_up| (follow_up, *slot)));
        }
        parents.sort_by_key(|(follow_up, _)| follow_up.id);
        parents.dedup_by_key(|(follow_up, _)| follow_up.id);
        let of = parents.iter().map(|(_, slot)| *slot).collect();
        let follow_ups = JobColumns::of_sorted(parents.iter().map(|(follow_up, _)| *follow_up));
        let low = chosen.keys().next().map_or(Uuid::nil(), |slot| slot.0);
        let high = chosen.keys().next_back().map_or(Uuid::nil(), |slot| slot.0);
        Ok(Self { records, slots, outcomes, failures, follow_ups, of, low, high })
    }

    /// The ids that its rows are stored under.
    fn ids(&self) -> Vec<JobId> {
        let ids = [&self.outcomes.ids, &self.failures.jobs, &self.follow_ups.ids].into_iter().flatten();
        ids.copied().map(JobId).collect()
    }

    /// Whether there are outcomes only.
    fn is_plain(&self) -> bool {
        self.failures.jobs.is_empty() && self.follow_ups.ids.is_empty()
    }

    /// Writes a plain batch of jobs without an outcome. Returns the slots of those that stay.
    async fn write_outcomes(&self, connection: &mut PgConnection) -> sqlx::Result<HashSet<Slot>> {
        let outcomes = &self.outcomes;
        #[cfg(feature = "broken")]
        if broken::overwrites() {
            return broken::overwrite(self, connection).await;
        }
        let rows = sqlx::query_file!(
            "sql/record_outcomes.sql",
            &outcomes.ids,
            &outcomes.ats,
            &outcomes.attempts,
            &outcomes.states,
            &outcomes.tenants as &[&str],
            &outcomes.results as &[Option<&[u8]>],
            &outcomes.errors as &[Option<&str>],
            &outcomes.details as &[Option<&str>],
            self.low,
            self.high,
        );
        let rows = rows.fetch_all(connection).await?;
        Ok(rows.into_iter().map(|row| (row.id, OUTCOME)).collect())
    }

    /// Writes any batch. Returns the slots of those that stay.
    async fn write(&self, connection: &mut PgConnection, owner: ProcessId) -> sqlx::Result<HashSet<Slot>> {
        let Self { outcomes, failures, follow_ups, .. } = self;
        let (of_jobs, of_attempts): (Vec<Uuid>, Vec<i32>) = self.of.iter().copied().unzip();
        let rows = sqlx::query_file!(
            "sql/record.sql",
            &outcomes.ids,
            &outcomes.ats,
            &outcomes.attempts,
            &outcomes.states,
            &outcomes.tenants as &[&str],
            &outcomes.results as &[Option<&[u8]>],
            &outcomes.errors as &[Option<&str>],
            &outcomes.details as &[Option<&str>],
            &failures.jobs,
            &failures.attempts,
            &failures.ats,
            &failures.retry_ats,
            &failures.errors as &[&str],
            &failures.details as &[Option<&str>],
            &follow_ups.ids,
            &follow_ups.run_ats,
            &follow_ups.priorities,
            &follow_ups.tenants as &[&str],
            &follow_ups.queues as &[&str],
            &follow_ups.kinds as &[&str],
            &follow_ups.payloads as &[&[u8]],
            &follow_ups.options as &[Option<String>],
            &of_jobs,
            &of_attempts,
            owner.0,
            self.low,
            self.high,
            &failures.tenants as &[&str],
            &failures.crashed,
        );
        let rows = rows.fetch_all(connection).await?;
        Ok(rows.into_iter().map(|row| (row.job, row.attempt)).collect())
    }

    /// Those that did not stay where they were written first: stale, or of jobs that outlive their day. A job that is
    /// moved while its record waits for the move is not written in its old place, and found in its new one then.
    fn left(&self, stays: &HashSet<Slot>) -> Vec<Record> {
        let left = self.records.iter().zip(&self.slots);
        let left = left.filter(|(_, slot)| slot.is_some() && !has_stayed(slot, stays));
        left.map(|(record, _)| record.clone()).collect()
    }

    /// Writes records of jobs that outlive their day. Returns the slots of those that stay.
    async fn write_kept(&self, connection: &mut PgConnection, owner: ProcessId) -> sqlx::Result<HashSet<Slot>> {
        let Self { outcomes, failures, follow_ups, .. } = self;
        let (of_jobs, of_attempts): (Vec<Uuid>, Vec<i32>) = self.of.iter().copied().unzip();
        let rows = sqlx::query_file!(
            "sql/record_kept.sql",
            &outcomes.ids,
            &outcomes.ats,
            &outcomes.attempts,
            &outcomes.states,
            &outcomes.tenants as &[&str],
            &outcomes.results as &[Option<&[u8]>],
            &outcomes.errors as &[Option<&str>],
            &outcomes.details as &[Option<&str>],
            &failures.jobs,
            &failures.attempts,
            &failures.ats,
            &failures.retry_ats,
            &failures.errors as &[&str],
            &failures.details as &[Option<&str>],
            &follow_ups.ids,
            &follow_ups.run_ats,
            &follow_ups.priorities,
            &follow_ups.tenants as &[&str],
            &follow_ups.queues as &[&str],
            &follow_ups.kinds as &[&str],
            &follow_ups.payloads as &[&[u8]],
            &follow_ups.options as &[Option<String>],
            &of_jobs,
            &of_attempts,
            owner.0,
            &failures.tenants as &[&str],
            &failures.crashed,
        );
        let rows = rows.fetch_all(connection).await?;
        Ok(rows.into_iter().map(|row| (row.job, row.attempt)).collect())
    }

    /// One answer per record, and the receipt of the follow-ups of those that stay.
    fn answer(&self, stays: &HashSet<Slot>) -> BatchRecorded {
        let answer = |slot| if has_stayed(slot, stays) { Recorded::Committed } else { Recorded::Stale };
        let first: Option<JobId> = self.follow_ups_of(stays).map(|follow_up| follow_up.id).min();
        BatchRecorded { records: self.slots.iter().map(answer).collect(), receipt: first.map(ReceiptId) }
    }

    /// The follow-ups of the records that stay.
    fn follow_ups_of(&self, stays: &HashSet<Slot>) -> impl Iterator<Item = &'a Job> {
        let committed = self.records.iter().zip(&self.slots).filter(|(_, slot)| has_stayed(slot, stays));
        committed.flat_map(|(record, _)| &record.follow_ups)
    }
}

fn has_stayed(slot: &Option<Slot>, stays: &HashSet<Slot>) -> bool {
    slot.as_ref().is_some_and(|slot| stays.contains(slot))
}

impl<'a> Outcomes<'a> {
    fn push(
        &mut self,
        record: &'a Record,
        state: FinalState,
        result: Option<&'a [u8]>,
        error: Option<&'a JobError>,
    ) -> Result<()> {
        self.ids.push(record.job.0);
        self.ats.push(record.at.to_chrono());
        self.attempts.push(attempt_column(record.attempt)?);
        self.states.push(state.code());
        self.tenants.push(record.tenant.as_str());
        self.results.push(result);
        self.errors.push(error.map(|error| error.message.as_str()));
        self.details.push(error.and_then(|error| error.detail.as_deref()));
        Ok(())
    }
}

impl<'a> Failures<'a> {
    fn push(&mut self, record: &'a Record, error: &'a JobError, retry_at: Timestamp, crashed: bool) -> Result<()> {
        self.jobs.push(record.job.0);
        self.tenants.push(record.tenant.as_str());
        self.attempts.push(attempt_column(record.attempt)?);
        self.ats.push(record.at.to_chrono());
        self.retry_ats.push(retry_at.to_chrono());
        self.errors.push(&error.message);
        self.details.push(error.detail.as_deref());
        self.crashed.push(crashed);
        Ok(())
    }
}
