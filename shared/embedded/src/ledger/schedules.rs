//! Schedules: one row each. Nobody else writes, so that each change looks first and then writes.

use super::{
    SqliteLedger,
    accept::store,
    error::{corrupt, ledger_error},
    keys, queues, receipts,
    rows::{Rows, hex},
};
use async_trait::async_trait;
use haul_core::{
    Job, JobId, Ledger, ProcessId, ScheduleName, SourceName, Tenant, Timestamp,
    ledger::{Accepted, LedgerError, ReceiptId, Result},
    schedules::{
        Agenda, BatchFired, Changed, Created, Definition, Due, Edit, NewSchedule, Position, Schedule, ScheduleId,
        ScheduleRef, Schedules, Step, Stepped,
    },
};
use sqlx::SqliteConnection;
use std::collections::HashMap;
use uuid::Uuid;

/// A row of the table `schedule`.
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
    next_at: Option<i64>,
    last_job: Option<Uuid>,
    runs: i64,
    problem: Option<String>,
    created_at: i64,
    updated_at: i64,
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
            created_at: Timestamp::from_ms(row.created_at),
            updated_at: Timestamp::from_ms(row.updated_at),
        })
    }
}

fn position(fired_through: String, next_at: Option<i64>) -> Position {
    Position { fired_through, next_at: next_at.map(Timestamp::from_ms) }
}

async fn find(conn: &mut SqliteConnection, key: &ScheduleRef) -> Result<Option<Schedule>> {
    let (tenant, name) = (key.tenant.as_str(), key.name.as_str());
    let row = sqlx::query_file_as!(Row, "sql/schedule_get.sql", tenant, name).fetch_optional(conn).await;
    row.map_err(ledger_error)?.map(Schedule::try_from).transpose()
}

async fn load(conn: &mut SqliteConnection, ids: &[ScheduleId]) -> Result<Vec<Schedule>> {
    let ids = hex_of(ids);
    let rows = sqlx::query_file_as!(Row, "sql/schedule_load.sql", ids).fetch_all(conn).await.map_err(ledger_error)?;
    rows.into_iter().map(Schedule::try_from).collect()
}

fn hex_of(ids: &[ScheduleId]) -> String {
    let ids: Vec<JobId> = ids.iter().map(|id| JobId(id.0)).collect();
    hex(&ids)
}

/// Creates a schedule. `Some`: its key, its name or the number of its tenant's schedules forbids it, and nothing is to be
/// kept.
async fn create(
    conn: &mut SqliteConnection,
    new: &NewSchedule,
    schedules_max: usize,
    now: Timestamp,
) -> Result<Option<Created>> {
    let (id, tenant, name) = (new.id.0, new.key.tenant.as_str(), new.key.name.as_str());
    let namesake = find(conn, &new.key).await?;
    if namesake.as_ref().is_some_and(|namesake| namesake.id == new.id) {
        return Ok(None);
    }
    if let Some(asked) = &new.idempotency {
        match keys::take_one(conn, tenant, asked, JobId(id), now).await? {
            Accepted::New => {}
            Accepted::Replayed(earlier) => return Ok(Some(Created::Replayed(ScheduleId(earlier.0)))),
            Accepted::KeyReused => return Ok(Some(Created::KeyReused)),
        }
    }
    if namesake.is_some() {
        return Ok(Some(Created::NameTaken));
    }
    let limit = i64::try_from(schedules_max).unwrap_or(i64::MAX);
    let counted = sqlx::query_file!("sql/schedule_count.sql", tenant, limit).fetch_one(&mut *conn).await;
    if counted.map_err(ledger_error)?.count >= limit {
        return Ok(Some(Created::TooMany));
    }
    let Definition { spec, template, source } = &new.definition;
    let source = source.as_ref().map(SourceName::as_str);
    let Position { fired_through, next_at } = &new.position;
    let (next_at, now) = (next_at.map(Timestamp::as_ms), now.as_ms());
    let write = sqlx::query_file!(
        "sql/schedule_create.sql",
        id,
        tenant,
        name,
        new.paused,
        spec,
        template,
        source,
        fired_through,
        next_at,
        now
    );
    let written = write.execute(conn).await.map_err(ledger_error)?.rows_affected();
    Ok((written == 0).then_some(Created::NameTaken))
}

#[async_trait]
impl Schedules for SqliteLedger {
    async fn create(&self, new: &NewSchedule, schedules_max: usize) -> Result<Created> {
        let now = self.clock.now();
        let mut tx = self.writer.begin().await?;
        if let Some(refusal) = create(&mut tx.conn, new, schedules_max, now).await? {
            tx.leave().await?;
            return Ok(refusal);
        }
        let stored = find(&mut tx.conn, &new.key).await?;
        tx.commit().await?;
        Ok(stored.map_or(Created::NameTaken, Created::New))
    }

    async fn create_once(&self, new: &NewSchedule) -> Result<bool> {
        let now = self.clock.now().as_ms();
        let (id, tenant, name) = (new.id.0, new.key.tenant.as_str(), new.key.name.as_str());
        let (Definition { spec, template, source }, Position { fired_through, next_at }) =
            (&new.definition, &new.position);
        let next_at = next_at.map(Timestamp::as_ms);
        let source = source.as_ref().map(SourceName::as_str);
        let mut tx = self.writer.begin().await?;
        let bring = sqlx::query_file!("sql/schedule_bring.sql", tenant, name).execute(&mut tx.conn).await;
        if bring.map_err(ledger_error)?.rows_affected() == 0 {
            tx.leave().await?;
            return Ok(false);
        }
        let create = sqlx::query_file!(
            "sql/schedule_create.sql",
            id,
            tenant,
            name,
            new.paused,
            spec,
            template,
            source,
            fired_through,
            next_at,
            now
        );
        let created = create.execute(&mut tx.conn).await.map_err(ledger_error)?;
        tx.commit().await?;
        Ok(created.rows_affected() == 1)
    }

    async fn get(&self, key: &ScheduleRef) -> Result<Option<Schedule>> {
        find(&mut *self.readers.acquire().await.map_err(ledger_error)?, key).await
    }

    async fn list(&self, tenant: &Tenant, after: Option<&ScheduleName>, limit: usize) -> Result<Vec<Schedule>> {
        let (tenant, after) = (tenant.as_str(), after.map_or("", ScheduleName::as_str));
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = sqlx::query_file_as!(Row, "sql/schedule_list.sql", tenant, after, limit).fetch_all(&self.readers);
        rows.await.map_err(ledger_error)?.into_iter().map(Schedule::try_from).collect()
    }

    async fn load(&self, ids: &[ScheduleId]) -> Result<Vec<Schedule>> {
        load(&mut *self.readers.acquire().await.map_err(ledger_error)?, ids).await
    }

    async fn edit(&self, edit: &Edit) -> Result<Changed> {
        let now = self.clock.now().as_ms();
        let mut tx = self.writer.begin().await?;
        let Some(old) = load(&mut tx.conn, &[edit.id]).await?.pop() else {
            tx.leave().await?;
            return Ok(Changed::Unknown);
        };
        let is_there = edit.moved.as_ref().is_none_or(|moved| moved.from == old.position.fired_through);
        if old.version != edit.version || !is_there {
            tx.leave().await?;
            return Ok(Changed::Stale);
        }
        let Definition { spec, template, source } = &edit.definition;
        let source = source.as_ref().map(SourceName::as_str);
        let Position { fired_through, next_at } = edit.moved.as_ref().map_or(&old.position, |moved| &moved.to);
        let next_at = next_at.map(Timestamp::as_ms);
        let write =
            sqlx::query_file!("sql/schedule_edit.sql", edit.id.0, spec, template, source, fired_through, next_at, now);
        write.execute(&mut tx.conn).await.map_err(ledger_error)?;
        let edited = load(&mut tx.conn, &[edit.id]).await?.pop();
        tx.commit().await?;
        Ok(edited.map_or(Changed::Unknown, Changed::Done))
    }

    async fn set_paused(&self, key: &ScheduleRef, version: Option<i64>, paused: bool) -> Result<Changed> {
        let now = self.clock.now().as_ms();
        let mut tx = self.writer.begin().await?;
        let old = match wanted(find(&mut tx.conn, key).await?, version) {
            Changed::Done(old) if old.paused != paused => old,
            settled => {
                tx.leave().await?;
                return Ok(settled);
            }
        };
        let id = old.id.0;
        let pause = sqlx::query_file!("sql/schedule_pause.sql", id, paused, now);
        pause.execute(&mut tx.conn).await.map_err(ledger_error)?;
        tx.commit().await?;
        Ok(Changed::Done(Schedule { paused, version: old.version + 1, updated_at: Timestamp::from_ms(now), ..old }))
    }

    async fn delete(&self, key: &ScheduleRef, version: Option<i64>) -> Result<Changed> {
        let mut tx = self.writer.begin().await?;
        let answer = wanted(find(&mut tx.conn, key).await?, version);
        if let Changed::Done(old) = &answer {
            let id = old.id.0;
            sqlx::query_file!("sql/schedule_delete.sql", id).execute(&mut tx.conn).await.map_err(ledger_error)?;
        }
        tx.commit().await?;
        Ok(answer)
    }

    async fn due(&self, limit: usize) -> Result<Agenda> {
        let now = self.now().await?;
        let next = sqlx::query_file!("sql/schedule_next.sql").fetch_optional(&self.readers).await;
        let next_at = next.map_err(ledger_error)?.map(|row| Timestamp::from_ms(row.next_at));
        let mut due = Vec::new();
        if next_at.is_some_and(|at| at <= now) {
            let (now, limit) = (now.as_ms(), i64::try_from(limit).unwrap_or(i64::MAX));
            let rows = sqlx::query_file!("sql/schedule_due.sql", now, limit).fetch_all(&self.readers).await;
            for row in rows.map_err(ledger_error)? {
                due.push(Due {
                    id: ScheduleId(row.id),
                    version: row.version,
                    position: position(row.fired_through, row.next_at),
                    last_job: row.last_job.map(JobId),
                    runs: u64::try_from(row.runs).map_err(corrupt)?,
                });
            }
        }
        Ok(Agenda { now, due, next_at })
    }

    async fn fire(&self, steps: &[Step], owner: ProcessId, done: &[ReceiptId]) -> Result<BatchFired> {
        if steps.is_empty() {
            receipts::drop(&self.writer, done).await?;
            return Ok(BatchFired { steps: Vec::new(), receipt: None });
        }
        let now = self.clock.now();
        let mut tx = self.writer.begin().await?;
        let places = places(&mut tx.conn, steps).await?;
        let free: Vec<&Step> = steps.iter().filter(|step| is_free(step, &places)).collect();
        let jobs: Vec<&Job> = free.iter().flat_map(|step| &step.jobs).collect();
        let unknown = match queues::unknown(&tx.kinds, &jobs) {
            Ok(unknown) => unknown,
            Err(refusal) => {
                tx.leave().await?;
                return Err(refusal);
            }
        };
        queues::learn(&mut tx, unknown, now).await?;
        store(&mut tx, jobs, owner, now).await?;
        move_on(&mut tx.conn, &free).await?;
        receipts::drop_within(&mut tx.conn, done).await?;
        tx.commit().await?;
        // A step that did not move its schedule may be one whose first answer was lost.
        let is_taken = |step: &&Step| is_free(step, &places) || was_taken(step, &places);
        let answer = |step| if is_taken(&step) { Stepped::Done } else { Stepped::Stale };
        let first = steps.iter().filter(is_taken).flat_map(|step| &step.jobs).map(|job| job.id).min();
        Ok(BatchFired { steps: steps.iter().map(answer).collect(), receipt: first.map(ReceiptId) })
    }
}

/// Whether the change may be made to what was found.
fn wanted(found: Option<Schedule>, version: Option<i64>) -> Changed {
    match found {
        None => Changed::Unknown,
        Some(found) if version.is_some_and(|version| version != found.version) => Changed::Stale,
        Some(found) => Changed::Done(found),
    }
}

/// Where a schedule is, before anything of the batch is written.
struct Place {
    version: i64,
    paused: bool,
    fired_through: String,
    last_job: Option<JobId>,
}

async fn places(conn: &mut SqliteConnection, steps: &[Step]) -> Result<HashMap<ScheduleId, Place>> {
    let ids: Vec<ScheduleId> = steps.iter().map(|step| step.schedule).collect();
    let ids = hex_of(&ids);
    let rows = sqlx::query_file!("sql/schedule_places.sql", ids).fetch_all(conn).await.map_err(ledger_error)?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let last_job = row.last_job.map(JobId);
            let place = Place { version: row.version, paused: row.paused, fired_through: row.fired_through, last_job };
            (ScheduleId(row.id), place)
        })
        .collect())
}

fn is_free(step: &Step, places: &HashMap<ScheduleId, Place>) -> bool {
    places
        .get(&step.schedule)
        .is_some_and(|place| place.version == step.version && !place.paused && place.fired_through == step.moved.from)
}

fn was_taken(step: &Step, places: &HashMap<ScheduleId, Place>) -> bool {
    let last_job = step.jobs.last().map(|job| job.id);
    last_job.is_some() && places.get(&step.schedule).is_some_and(|place| place.last_job == last_job)
}

async fn move_on(conn: &mut SqliteConnection, steps: &[&Step]) -> Result<()> {
    let mut rows = Rows::default();
    for step in steps {
        let to = &step.moved.to;
        let last_job = step.jobs.last().map(|job| job.id);
        rows.add(|row| {
            row.id(JobId(step.schedule.0))
                .bytes(Some(to.fired_through.as_bytes()))
                .optional_time(to.next_at)
                .bytes(last_job.as_ref().map(|id| id.as_bytes().as_slice()))
                .int(i64::try_from(step.jobs.len()).unwrap_or(i64::MAX))
                .bytes(step.problem.as_deref().map(str::as_bytes));
        });
    }
    for chunk in rows.chunks() {
        let update = sqlx::query_file!("sql/schedule_move.sql", chunk.rows, chunk.data);
        update.execute(&mut *conn).await.map_err(ledger_error)?;
    }
    Ok(())
}
