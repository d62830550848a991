//! Schedules: one row each. Whoever edits and whoever fires guard against each other by its version and its place.
//!
//! Firing is one statement, one round trip and one commit per batch, as accepting is: what it moves it locks, in one
//! order, and what it did not move brings no job. See docs/decisions/0120.

#[cfg(feature = "broken")]
mod broken;
mod steps;

use crate::{
    columns::JobColumns,
    error::corrupt,
    keys,
    ledger::{PostgresLedger, Shared},
    partitions,
    pool::{ask, in_time},
    queues::Unknown,
};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use haul_core::{
    Job, JobId, ProcessId, ScheduleName, SourceName, Tenant,
    ledger::{Accepted, LedgerError, ReceiptId, Result},
    schedules::{
        Agenda, BatchFired, Changed, Created, Definition, Due, Edit, NewSchedule, Position, Schedule, ScheduleId,
        ScheduleRef, Schedules, Step, Stepped,
    },
};
use sqlx::{Connection, PgConnection};
use std::collections::{HashMap, HashSet};
use steps::{StepColumns, last_job};
use uuid::Uuid;

/// A row of `haul.schedule`.
struct Row {
    id: Uuid,
    tenant: String,
    name: String,
    version: i64,
    paused: bool,
    spec: String,
    template: String,
    source: Option<String>,
    fired_through: String,
    next_at: Option<DateTime<Utc>>,
    last_job: Option<Uuid>,
    runs: i64,
    problem: Option<String>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl TryFrom<Row> for Schedule {
    type Error = LedgerError;
    fn try_from(row: Row) -> Result<Self> {
        let tenant = Tenant::new(row.tenant).map_err(corrupt)?;
        let source = row.source.map(SourceName::new).transpose().map_err(corrupt)?;
        Ok(Self {
            id: ScheduleId(row.id),
            key: ScheduleRef { tenant, name: ScheduleName::new(row.name).map_err(corrupt)? },
            version: row.version,
            paused: row.paused,
            definition: Definition { spec: row.spec, template: row.template, source },
            position: position(row.fired_through, row.next_at),
            last_job: row.last_job.map(JobId),
            runs: u64::try_from(row.runs).map_err(corrupt)?,
            problem: row.problem,
            created_at: row.created_at.into(),
            updated_at: row.updated_at.into(),
        })
    }
}

fn position(fired_through: String, next_at: Option<DateTime<Utc>>) -> Position {
    Position { fired_through, next_at: next_at.map(Into::into) }
}

#[async_trait]
impl Schedules for PostgresLedger {
    async fn create(&self, new: &NewSchedule, schedules_max: usize) -> Result<Created> {
        let mut lent = self.shared().connections.lend().await?;
        let patience = lent.patience();
        let mut transaction = in_time(patience, lent.connection().begin()).await?;
        let created = in_time(patience, create(&mut transaction, new, schedules_max)).await?;
        if matches!(created, Attempt::Made(_)) {
            in_time(patience, transaction.commit()).await?;
        } else {
            in_time(patience, transaction.rollback()).await?;
        }
        lent.give_back();
        match created {
            Attempt::Made(row) | Attempt::WasMade(row) => Ok(Created::New(row.try_into()?)),
            Attempt::Refused(refusal) => Ok(refusal),
        }
    }

    async fn create_once(&self, new: &NewSchedule) -> Result<bool> {
        let (key, Definition { spec, template, source }) = (&new.key, &new.definition);
        let Position { fired_through, next_at } = &new.position;
        let row = ask!(self.shared().connections, c => sqlx::query_file!(
            "sql/schedule_create_once.sql",
            new.id.0,
            key.tenant.as_str(),
            key.name.as_str(),
            new.paused,
            spec,
            template,
            fired_through,
            next_at.map(|at| at.to_chrono()),
            source.as_ref().map(SourceName::as_str),
        )
        .fetch_optional(c))?;
        Ok(row.is_some())
    }

    async fn get(&self, key: &ScheduleRef) -> Result<Option<Schedule>> {
        let (tenant, name) = (key.tenant.as_str(), key.name.as_str());
        let row = ask!(self.shared().connections, c => {
            sqlx::query_file_as!(Row, "sql/schedule_get.sql", tenant, name).fetch_optional(c)
        })?;
        row.map(Schedule::try_from).transpose()
    }

    async fn list(&self, tenant: &Tenant, after: Option<&ScheduleName>, limit: usize) -> Result<Vec<Schedule>> {
        let after = after.map_or("", ScheduleName::as_str);
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = ask!(self.shared().connections, c => {
            sqlx::query_file_as!(Row, "sql/schedule_list.sql", tenant.as_str(), after, limit).fetch_all(c)
        })?;
        rows.into_iter().map(Schedule::try_from).collect()
    }

    async fn load(&self, ids: &[ScheduleId]) -> Result<Vec<Schedule>> {
        let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
        let rows = ask!(self.shared().connections, c => {
            sqlx::query_file_as!(Row, "sql/schedule_load.sql", &ids).fetch_all(c)
        })?;
        rows.into_iter().map(Schedule::try_from).collect()
    }

    async fn edit(&self, edit: &Edit) -> Result<Changed> {
        let Definition { spec, template, source } = &edit.definition;
        let moved = edit.moved.as_ref();
        let to = moved.map(|moved| &moved.to);
        let row = ask!(self.shared().connections, c => sqlx::query_file_as!(
            Row,
            "sql/schedule_edit.sql",
            edit.id.0,
            edit.version,
            spec,
            template,
            source.as_ref().map(SourceName::as_str),
            moved.is_some(),
            moved.map(|moved| moved.from.as_str()),
            to.map(|to| to.fired_through.as_str()),
            to.and_then(|to| to.next_at).map(|at| at.to_chrono()),
        )
        .fetch_optional(c))?;
        match row {
            Some(row) => Ok(Changed::Done(row.try_into()?)),
            None if self.load(&[edit.id]).await?.is_empty() => Ok(Changed::Unknown),
            None => Ok(Changed::Stale),
        }
    }

    async fn set_paused(&self, key: &ScheduleRef, version: Option<i64>, paused: bool) -> Result<Changed> {
        let (tenant, name) = (key.tenant.as_str(), key.name.as_str());
        let row = ask!(self.shared().connections, c => {
            sqlx::query_file_as!(Row, "sql/schedule_pause.sql", tenant, name, version, paused).fetch_optional(c)
        })?;
        self.changed(key, row).await
    }

    async fn delete(&self, key: &ScheduleRef, version: Option<i64>) -> Result<Changed> {
        let (tenant, name) = (key.tenant.as_str(), key.name.as_str());
        let row = ask!(self.shared().connections, c => {
            sqlx::query_file_as!(Row, "sql/schedule_delete.sql", tenant, name, version).fetch_optional(c)
        })?;
        self.changed(key, row).await
    }

    async fn due(&self, limit: usize) -> Result<Agenda> {
        let next = ask!(self.shared().connections, c => sqlx::query_file!("sql/schedule_next.sql").fetch_one(c))?;
        let mut due = Vec::new();
        if next.next_at.is_some_and(|at| at <= next.now) {
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let rows = ask!(self.shared().connections, c => {
                sqlx::query_file!("sql/schedule_due.sql", next.now, limit).fetch_all(c)
            })?;
            due.reserve(rows.len());
            for row in rows {
                due.push(Due {
                    id: ScheduleId(row.id),
                    version: row.version,
                    position: position(row.fired_through, row.next_at),
                    last_job: row.last_job.map(JobId),
                    runs: u64::try_from(row.runs).map_err(corrupt)?,
                });
            }
        }
        Ok(Agenda { now: next.now.into(), due, next_at: next.next_at.map(Into::into) })
    }

    async fn fire(&self, steps: &[Step], owner: ProcessId, done: &[ReceiptId]) -> Result<BatchFired> {
        let ledger = self.shared();
        if steps.is_empty() {
            crate::receipts::drop_receipts(&ledger.connections, done).await?;
            return Ok(BatchFired { steps: Vec::new(), receipt: None });
        }
        let batch = Batch::of(steps);
        let answer = batch.send(ledger, owner, done).await;
        let ids: Vec<JobId> = batch.jobs.ids.iter().copied().map(JobId).collect();
        if partitions::made_for(&ledger.connections, &answer, &ids).await? {
            return batch.send(ledger, owner, done).await;
        }
        answer
    }
}

/// What a transaction that creates a schedule has come to.
enum Attempt {
    /// There is something to commit.
    Made(Row),
    /// An earlier call has committed it.
    WasMade(Row),
    Refused(Created),
}

/// The statements of creating. One transaction at a time creates for a tenant, so that its limit holds.
async fn create(connection: &mut PgConnection, new: &NewSchedule, schedules_max: usize) -> sqlx::Result<Attempt> {
    let (tenant, name) = (new.key.tenant.as_str(), new.key.name.as_str());
    sqlx::query_file!("sql/schedule_turn.sql", tenant).fetch_one(&mut *connection).await?;
    let namesake = sqlx::query_file_as!(Row, "sql/schedule_get.sql", tenant, name);
    let is_taken = match namesake.fetch_optional(&mut *connection).await? {
        Some(row) if row.id == new.id.0 => return Ok(Attempt::WasMade(row)),
        namesake => namesake.is_some(),
    };
    if let Some(asked) = &new.idempotency {
        match keys::take(connection, tenant, asked, new.id.0).await? {
            Accepted::New => {}
            Accepted::Replayed(earlier) => return Ok(Attempt::Refused(Created::Replayed(ScheduleId(earlier.0)))),
            Accepted::KeyReused => return Ok(Attempt::Refused(Created::KeyReused)),
        }
    }
    if is_taken {
        return Ok(Attempt::Refused(Created::NameTaken));
    }
    let limit = i64::try_from(schedules_max).unwrap_or(i64::MAX);
    let counted = sqlx::query_file!("sql/schedule_count.sql", tenant, limit).fetch_one(&mut *connection).await?;
    if counted.count >= limit {
        return Ok(Attempt::Refused(Created::TooMany));
    }
    let Definition { spec, template, source } = &new.definition;
    let Position { fired_through, next_at } = &new.position;
    let write = sqlx::query_file_as!(
        Row,
        "sql/schedule_create.sql",
        new.id.0,
        tenant,
        name,
        new.paused,
        spec,
        template,
        source.as_ref().map(SourceName::as_str),
        fired_through,
        next_at.map(|at| at.to_chrono()),
    );
    let row = write.fetch_optional(connection).await?;
    Ok(row.map_or(Attempt::Refused(Created::NameTaken), Attempt::Made))
}

impl PostgresLedger {
    /// What a change came to, by the row that it returned.
    async fn changed(&self, key: &ScheduleRef, row: Option<Row>) -> Result<Changed> {
        match row {
            Some(row) => Ok(Changed::Done(row.try_into()?)),
            None if self.get(key).await?.is_none() => Ok(Changed::Unknown),
            None => Ok(Changed::Stale),
        }
    }
}

/// Steps as columns, with their jobs in order of id.
struct Batch<'a> {
    steps: &'a [Step],
    jobs: JobColumns<'a>,
    /// The schedule of each job.
    of: Vec<Uuid>,
}

impl<'a> Batch<'a> {
    fn of(steps: &'a [Step]) -> Self {
        let jobs = steps.iter().flat_map(|step| step.jobs.iter().map(|job| (job, step.schedule.0)));
        let mut jobs: Vec<(&Job, Uuid)> = jobs.collect();
        jobs.sort_unstable_by_key(|(job, _)| job.id);
        let of = jobs.iter().map(|(_, schedule)| *schedule).collect();
        Self { steps, jobs: JobColumns::of_sorted(jobs.iter().map(|(job, _)| *job)), of }
    }

    async fn send(&self, ledger: &Shared, owner: ProcessId, done: &[ReceiptId]) -> Result<BatchFired> {
        let jobs = self.steps.iter().flat_map(|step| &step.jobs);
        let moved = match ledger.queues.unknown_of(jobs) {
            None => ask!(ledger.connections, c => self.write(c, owner, done))?,
            Some(unknown) => self.send_and_register(ledger, unknown, owner, done).await?,
        };
        self.answer(ledger, moved).await
    }

    /// A transaction that makes what its jobs name known.
    async fn send_and_register(
        &self,
        ledger: &Shared,
        unknown: Unknown,
        owner: ProcessId,
        done: &[ReceiptId],
    ) -> Result<HashSet<ScheduleId>> {
        let mut lent = ledger.connections.lend().await?;
        let patience = lent.patience();
        let mut transaction = in_time(patience, lent.connection().begin()).await?;
        in_time(patience, unknown.wait_for_turn(&mut transaction)).await?;
        let moved = in_time(patience, self.write(&mut transaction, owner, done)).await?;
        let jobs = self.steps.iter().filter(|step| moved.contains(&step.schedule)).flat_map(|step| &step.jobs);
        let registered = unknown.register(&mut transaction, patience, jobs).await;
        if registered.is_ok() {
            in_time(patience, transaction.commit()).await?;
        } else {
            in_time(patience, transaction.rollback()).await?;
        }
        lent.give_back();
        ledger.queues.remember(registered?);
        Ok(moved)
    }

    /// Writes the batch. Returns the schedules that moved.
    async fn write(
        &self,
        connection: &mut PgConnection,
        owner: ProcessId,
        done: &[ReceiptId],
    ) -> sqlx::Result<HashSet<ScheduleId>> {
        let Self { steps, jobs, of } = self;
        let done: Vec<Uuid> = done.iter().map(|receipt| receipt.0.0).collect();
        let columns = StepColumns::of(steps);
        #[cfg(feature = "broken")]
        if broken::fires_unguarded() {
            return broken::fire(&columns, jobs, of, connection, owner, &done).await;
        }
        let rows = sqlx::query_file!(
            "sql/schedule_fire.sql",
            &columns.schedules,
            &columns.versions,
            &columns.origins as &[&str],
            &columns.targets as &[&str],
            &columns.next_ats as &[Option<DateTime<Utc>>],
            &columns.last_jobs as &[Option<Uuid>],
            &columns.counts,
            &columns.problems as &[Option<&str>],
            &jobs.ids,
            &jobs.run_ats,
            &jobs.priorities,
            &jobs.tenants as &[&str],
            &jobs.queues as &[&str],
            &jobs.kinds as &[&str],
            &jobs.payloads as &[&[u8]],
            &jobs.options as &[Option<String>],
            of,
            owner.0,
            &done,
        );
        Ok(rows.fetch_all(connection).await?.into_iter().map(|row| ScheduleId(row.id)).collect())
    }

    /// One answer per step. A step that did not move its schedule may be one whose first answer was lost.
    async fn answer(&self, ledger: &Shared, mut taken: HashSet<ScheduleId>) -> Result<BatchFired> {
        let left = self.steps.iter().filter(|step| !taken.contains(&step.schedule));
        let left: HashMap<Uuid, Uuid> = left.filter_map(|step| Some((step.schedule.0, last_job(step)?))).collect();
        if !left.is_empty() {
            let (schedules, last_jobs): (Vec<Uuid>, Vec<Uuid>) = left.into_iter().unzip();
            let rows = ask!(ledger.connections, c => {
                sqlx::query_file!("sql/schedule_fired.sql", &schedules, &last_jobs).fetch_all(c)
            })?;
            taken.extend(rows.into_iter().map(|row| ScheduleId(row.id)));
        }
        let is_taken = |step: &&Step| taken.contains(&step.schedule);
        let answer = |step| if is_taken(&step) { Stepped::Done } else { Stepped::Stale };
        let first = self.steps.iter().filter(is_taken).flat_map(|step| &step.jobs).map(|job| job.id).min();
        Ok(BatchFired { steps: self.steps.iter().map(answer).collect(), receipt: first.map(ReceiptId) })
    }
}
