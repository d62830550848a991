//! Looking at jobs: one with everything, or pages of them, newest first.
//!
//! A page reads a bounded number of candidates. It first asks where these end, then which of them match, then for these
//! in full. What has not ended is looked for where `unsettled` does, in reverse.

use crate::{
    columns::IdColumn,
    pool::{Connections, ask},
    rows::{self, JobRow},
    unsettled::successor,
};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use haul_core::{
    Failure, FinalState, JobId, Outcome, Tenant,
    ledger::{Filter, Page, Result, StateFilter},
    outcome::JobRecord,
};
use std::collections::HashMap;
use uuid::Uuid;

/// Candidates per page.
const CANDIDATES_MAX: i64 = 5_000;
/// Places looked into per page of unsettled jobs.
const PLACES_MAX: usize = 8;

pub(crate) async fn job(connections: &Connections, tenant: &Tenant, id: JobId) -> Result<Option<JobRecord>> {
    let Some(mut record) = records(connections, tenant, &[id.0]).await?.remove(&id) else { return Ok(None) };
    if record.failure_count > 1 {
        let rows = ask!(connections, c => sqlx::query_file!("sql/failures.sql", id.0).fetch_all(c))?;
        let failure = |attempt, at, retry_at, message, detail, crashed| -> Result<Failure> {
            let error = rows::error(message, detail);
            Ok(Failure {
                attempt: rows::attempt(id.0, attempt)?,
                at: rows::time(at),
                error,
                retry_at: rows::time(retry_at),
                crashed,
            })
        };
        let failures = rows
            .into_iter()
            .map(|row| failure(row.attempt, row.at, row.retry_at, row.error, row.error_detail, row.crashed));
        record.failures = failures.collect::<Result<_>>()?;
        record.failure_count = u32::try_from(record.failures.len()).unwrap_or(u32::MAX);
    }
    Ok(Some(record))
}

pub(crate) async fn list(
    connections: &Connections,
    tenant: &Tenant,
    filter: &Filter,
    before: Option<JobId>,
    limit: usize,
) -> Result<Page> {
    let before = before.map_or(Uuid::max(), |before| before.0);
    let before = filter.created_before.map_or(before, |time| before.min(JobId::floor(time).0));
    let from = filter.created_from.map_or(Uuid::nil(), |time| JobId::floor(time).0);
    let search = Search { connections, tenant, filter, from, limit };
    let (ids, next) = match filter.state {
        Some(StateFilter::Final(state)) => search.ended(state, before).await?,
        Some(StateFilter::Unsettled) => search.unsettled(before).await?,
        None => search.any(before).await?,
    };
    let mut records = records(connections, tenant, &ids).await?;
    let jobs = ids.iter().filter_map(|id| records.remove(&JobId(*id))).collect();
    Ok(Page { jobs, next: next.map(JobId) })
}

struct Search<'a> {
    connections: &'a Connections,
    tenant: &'a Tenant,
    filter: &'a Filter,
    from: Uuid,
    limit: usize,
}

/// Ids that match, newest first, and where to go on.
type Found = (Vec<Uuid>, Option<Uuid>);

impl Search<'_> {
    async fn any(&self, before: Uuid) -> Result<Found> {
        let floor = self.job_floor(before, self.from).await?;
        let found = self.jobs(before, floor.unwrap_or(self.from), false, self.limit).await?;
        Ok(self.page(found, floor))
    }

    async fn ended(&self, state: FinalState, before: Uuid) -> Result<Found> {
        let (tenant, state) = (self.tenant.as_str(), state.code());
        let floor = sqlx::query_file!("sql/outcome_floor.sql", tenant, state, before, self.from, CANDIDATES_MAX - 1);
        let floor = ask!(self.connections, c => floor.fetch_optional(c))?.map(|row| row.id);
        let (queue, kind, tag) = self.texts();
        let rows = ask!(self.connections, c => sqlx::query_file!(
            "sql/list_ended.sql",
            before,
            floor.unwrap_or(self.from),
            tenant,
            queue as Option<&str>,
            kind as Option<&str>,
            tag as Option<String>,
            state,
            self.asked_for(self.limit),
        )
        .fetch_all(c))?;
        let rows = rows.into_iter().map(|row| (row.id, row.options));
        let found = self.tagged(rows, self.limit)?;
        Ok(self.page(found, floor))
    }

    /// Closed history is read only where ranges are open and stragglers are listed.
    async fn unsettled(&self, mut before: Uuid) -> Result<Found> {
        let mut ids = Vec::new();
        for _ in 0..PLACES_MAX {
            let room = self.limit.saturating_sub(ids.len());
            if room == 0 {
                break;
            }
            let closed = ask!(self.connections, c => sqlx::query_file!("sql/closed.sql").fetch_one(c))?;
            let first_open = successor(closed.closed_through);
            let range = sqlx::query_file!("sql/previous_range.sql", before);
            let range = ask!(self.connections, c => range.fetch_optional(c))?.map(|row| (row.first, row.last));
            let (found, next) = if before > first_open {
                self.unsettled_open(before, first_open, room).await?
            } else {
                match range {
                    Some((first, last)) if successor(last) >= before => {
                        self.unsettled_open(before, first, room).await?
                    }
                    Some((_, last)) => self.stragglers(before, successor(last), room).await?,
                    None => self.stragglers(before, self.from, room).await?,
                }
            };
            ids.extend(found);
            match next.filter(|next| *next > self.from) {
                None => return Ok((ids, None)),
                Some(next) => before = next,
            }
        }
        Ok((ids, Some(before)))
    }

    /// A place where every job is a candidate, down to `first`.
    async fn unsettled_open(&self, before: Uuid, first: Uuid, room: usize) -> Result<Found> {
        let first = first.max(self.from);
        let floor = self.job_floor(before, first).await?;
        let (ids, is_more) = self.jobs(before, floor.unwrap_or(first), true, room).await?;
        let next = if is_more { ids.last().copied() } else { None };
        Ok((ids, Some(next.or(floor).unwrap_or(first))))
    }

    /// A place where only stragglers are candidates, down to `first`.
    async fn stragglers(&self, before: Uuid, first: Uuid, room: usize) -> Result<Found> {
        let first = first.max(self.from);
        let rows = sqlx::query_file!("sql/stragglers_back.sql", before, first, CANDIDATES_MAX);
        let candidates: Vec<Uuid> =
            ask!(self.connections, c => rows.fetch_all(c))?.into_iter().map(|row| row.id).collect();
        let is_full = candidates.len() as i64 == CANDIDATES_MAX;
        let floor = candidates.last().copied().filter(|_| is_full).unwrap_or(first);
        let Some(column) = IdColumn::of(candidates.into_iter().map(JobId)) else {
            return Ok((Vec::new(), Some(first)));
        };
        let (queue, kind, tag) = self.texts();
        let rows = ask!(self.connections, c => sqlx::query_file!(
            "sql/list_stragglers.sql",
            &column.ids,
            column.low,
            column.high,
            self.tenant.as_str(),
            queue as Option<&str>,
            kind as Option<&str>,
            tag as Option<String>,
            self.asked_for(room),
        )
        .fetch_all(c))?;
        let (ids, is_more) = self.tagged(rows.into_iter().map(|row| (row.id, row.options)), room)?;
        let next = if is_more { ids.last().copied() } else { None };
        Ok((ids, Some(next.unwrap_or(floor))))
    }

    async fn job_floor(&self, before: Uuid, from: Uuid) -> Result<Option<Uuid>> {
        let floor = sqlx::query_file!("sql/job_floor.sql", before, from, CANDIDATES_MAX - 1);
        Ok(ask!(self.connections, c => floor.fetch_optional(c))?.map(|row| row.id))
    }

    /// The matching ones from below `before` down to `floor`, and whether there are more than there is room for.
    async fn jobs(&self, before: Uuid, floor: Uuid, unsettled: bool, room: usize) -> Result<(Vec<Uuid>, bool)> {
        let (queue, kind, tag) = self.texts();
        let rows = ask!(self.connections, c => sqlx::query_file!(
            "sql/list_jobs.sql",
            before,
            floor,
            self.tenant.as_str(),
            queue as Option<&str>,
            kind as Option<&str>,
            tag as Option<String>,
            unsettled,
            self.asked_for(room),
        )
        .fetch_all(c))?;
        self.tagged(rows.into_iter().map(|row| (row.id, row.options)), room)
    }

    /// The filter as the statements want it. Of a tag they look for its value as the options write it: an approximation
    /// from above, because JSON that Postgres would refuse to take apart must not spoil the page.
    fn texts(&self) -> (Option<&str>, Option<&str>, Option<String>) {
        let queue = self.filter.queue.as_ref().map(haul_core::Queue::as_str);
        let kind = self.filter.kind.as_ref().map(haul_core::Kind::as_str);
        let tag = self.filter.tag.as_ref().map(|(_, value)| serde_json::Value::from(value.as_str()).to_string());
        (queue, kind, tag)
    }

    /// One more than there is room for, to see whether more follow; all when tags are still to be compared.
    fn asked_for(&self, room: usize) -> i64 {
        if self.filter.tag.is_some() {
            return CANDIDATES_MAX;
        }
        i64::try_from(room).unwrap_or(i64::MAX).saturating_add(1)
    }

    /// Those that really have the tag, at most as many as there is room for, and whether there were more.
    fn tagged(&self, rows: impl Iterator<Item = (Uuid, Option<String>)>, room: usize) -> Result<(Vec<Uuid>, bool)> {
        let mut ids = Vec::new();
        for (id, options) in rows {
            if let Some((name, value)) = &self.filter.tag
                && rows::options(options.as_deref())?.tags.get(name) != Some(value)
            {
                continue;
            }
            if ids.len() == room {
                return Ok((ids, true));
            }
            ids.push(id);
        }
        Ok((ids, false))
    }

    /// Goes on after the last one that is shown, or below the candidates, or not at all.
    fn page(&self, (ids, is_more): (Vec<Uuid>, bool), floor: Option<Uuid>) -> Found {
        let next = if is_more { ids.last().copied() } else { floor };
        (ids, next)
    }
}

/// Jobs in full, with their latest failure.
async fn records(connections: &Connections, tenant: &Tenant, ids: &[Uuid]) -> Result<HashMap<JobId, JobRecord>> {
    let mut records = HashMap::with_capacity(ids.len());
    let Some(ids) = IdColumn::of(ids.iter().copied().map(JobId)) else { return Ok(records) };
    let rows = sqlx::query_file_as!(Row, "sql/job_records.sql", tenant.as_str(), &ids.ids, ids.low, ids.high);
    let mut rows = ask!(connections, c => rows.fetch_all(c))?;
    if rows.len() < ids.ids.len() {
        // Unknown, or outliving its day: see `load`.
        let missing = ids.without(rows.iter().map(|row| row.id));
        let kept = sqlx::query_file_as!(Row, "sql/job_records_kept.sql", tenant.as_str(), &missing);
        rows.extend(ask!(connections, c => kept.fetch_all(c))?);
    }
    for row in rows {
        records.insert(JobId(row.id), row.decode()?);
    }
    Ok(records)
}

/// A job with everything, and the latest of its failures.
struct Row {
    id: Uuid,
    run_at: DateTime<Utc>,
    priority: i16,
    tenant: String,
    queue: String,
    kind: String,
    payload: Vec<u8>,
    options: Option<String>,
    state: Option<i16>,
    attempt: Option<i32>,
    finished_at: Option<DateTime<Utc>>,
    result: Option<Vec<u8>>,
    error: Option<String>,
    error_detail: Option<String>,
    failures: Option<i64>,
    failed_attempt: Option<i32>,
    failed_at: Option<DateTime<Utc>>,
    retry_at: Option<DateTime<Utc>>,
    failed_error: Option<String>,
    failed_detail: Option<String>,
    crashed: Option<bool>,
}

impl Row {
    fn decode(self) -> Result<JobRecord> {
        let row = self;
        let id = row.id;
        let outcome = match (row.state, row.attempt, row.finished_at) {
            (Some(state), Some(attempt), Some(finished_at)) => Some(Outcome {
                state: rows::state(id, state)?,
                attempt: rows::attempt(id, attempt)?,
                finished_at: rows::time(finished_at),
                result: row.result.map(Bytes::from),
                error: row.error.map(|message| rows::error(message, row.error_detail)),
            }),
            _ => None,
        };
        let failure = match (row.failed_attempt, row.failed_at, row.retry_at, row.failed_error) {
            (Some(attempt), Some(at), Some(retry_at), Some(message)) => Some(Failure {
                attempt: rows::attempt(id, attempt)?,
                at: rows::time(at),
                error: rows::error(message, row.failed_detail),
                retry_at: rows::time(retry_at),
                crashed: row.crashed.unwrap_or(false),
            }),
            _ => None,
        };
        let job = JobRow {
            id,
            run_at: row.run_at,
            priority: row.priority,
            tenant: row.tenant,
            queue: row.queue,
            kind: row.kind,
            payload: row.payload,
            options: row.options,
        };
        Ok(JobRecord {
            job: job.decode()?,
            failure_count: row.failures.map_or(Ok(0), |failures| rows::count(id, failures))?,
            failures: failure.into_iter().collect(),
            outcome,
        })
    }
}
