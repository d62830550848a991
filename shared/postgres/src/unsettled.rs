//! Finding the jobs without an outcome, without reading history.
//!
//! Jobs are looked for in three places, in order of id: in closed history only the listed stragglers and the open
//! ranges, after it everything. What is closed moves on while this reads; that is harmless, because a job changes its
//! place only from "after" to one of the other two, and each page reads where the job still is. See `closing`.

use crate::{
    columns::IdColumn,
    error::corrupt,
    ledger::Shared,
    pool::{Connections, ask},
    rows,
};
use haul_core::{
    JobId, Kind, Queue, QueueRef, Tenant,
    ledger::{Result, Unsettled, UnsettledPage},
};
use uuid::Uuid;

/// Jobs looked at per call, at most.
const CANDIDATES_MAX: usize = 10_000;
/// Places looked into per call, at most: an empty one costs a round trip, too.
const PLACES_MAX: usize = 16;

/// What lies after a position, up to and including an id.
enum Place {
    /// Every job is a candidate.
    Open(Uuid),
    /// Only listed stragglers are candidates.
    Closed(Uuid),
}

pub(crate) async fn unsettled(
    ledger: &Shared,
    after: Option<JobId>,
    last: Option<JobId>,
    limit: usize,
) -> Result<UnsettledPage> {
    let connections = &ledger.connections;
    let last = last.map_or(Uuid::max(), |last| last.0);
    let mut position = after.map_or(Uuid::nil(), |after| after.0);
    let mut budget = CANDIDATES_MAX;
    let mut page = UnsettledPage::default();
    for _ in 0..PLACES_MAX {
        let room = limit.saturating_sub(page.jobs.len());
        if position >= last || room == 0 || budget == 0 {
            break;
        }
        let (ids, looked_at) = match place(connections, position, last).await? {
            Place::Open(end) => {
                let (end, looked_at) = stretch(connections, position, end, budget).await?;
                let ids = unsettled_ids(connections, position, end, room).await?;
                position = if ids.len() == room { ids.last().copied().unwrap_or(end) } else { end };
                (ids, looked_at)
            }
            Place::Closed(end) => {
                let ids = stragglers(connections, position, end, room.min(budget)).await?;
                position = if ids.len() == room.min(budget) { ids.last().copied().unwrap_or(end) } else { end };
                let looked_at = ids.len();
                (ids, looked_at)
            }
        };
        budget = budget.saturating_sub(looked_at);
        page.jobs.extend(waiting(connections, &ids).await?);
    }
    let names = page.jobs.iter().map(|job| (&job.queue.tenant, &job.queue.queue, &job.kind));
    if let Some(unknown) = ledger.queues.unknown(names) {
        ledger.queues.admit(connections, unknown).await?;
    }
    page.next = (position < last).then_some(JobId(position));
    Ok(page)
}

/// What lies right after `position`, up to `last`.
async fn place(connections: &Connections, position: Uuid, last: Uuid) -> Result<Place> {
    let closed = ask!(connections, c => sqlx::query_file!("sql/closed.sql").fetch_one(c))?.closed_through;
    if position >= closed {
        return Ok(Place::Open(last));
    }
    let range = ask!(connections, c => sqlx::query_file!("sql/next_range.sql", position).fetch_optional(c))?;
    let Some(range) = range else { return Ok(Place::Closed(last.min(closed))) };
    // Both ends of a range are included, those of a place are not: the job right at `first` must not be passed over.
    let before_range = predecessor(range.first);
    if before_range > position {
        return Ok(Place::Closed(last.min(before_range)));
    }
    Ok(Place::Open(last.min(range.last)))
}

/// The id right before.
pub(crate) fn predecessor(id: Uuid) -> Uuid {
    Uuid::from_u128(id.as_u128().saturating_sub(1))
}

/// The id right after.
pub(crate) fn successor(id: Uuid) -> Uuid {
    Uuid::from_u128(id.as_u128().saturating_add(1))
}

/// Where a bounded stretch ends, and how many jobs it may hold.
async fn stretch(connections: &Connections, after: Uuid, last: Uuid, jobs_max: usize) -> Result<(Uuid, usize)> {
    let offset = i64::try_from(jobs_max.saturating_sub(1)).unwrap_or(i64::MAX);
    let chunk = ask!(connections, c => sqlx::query_file!("sql/chunk.sql", after, last, offset).fetch_one(c))?;
    Ok(match chunk.full_last {
        Some(end) => (end, jobs_max),
        // Fewer than that: their number does not matter.
        None => (last, 0),
    })
}

async fn unsettled_ids(connections: &Connections, after: Uuid, last: Uuid, limit: usize) -> Result<Vec<Uuid>> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = ask!(connections, c => sqlx::query_file!("sql/unsettled_ids.sql", after, last, limit).fetch_all(c))?;
    Ok(rows.into_iter().map(|row| row.id).collect())
}

async fn stragglers(connections: &Connections, after: Uuid, last: Uuid, limit: usize) -> Result<Vec<Uuid>> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = ask!(connections, c => sqlx::query_file!("sql/stragglers.sql", after, last, limit).fetch_all(c))?;
    Ok(rows.into_iter().map(|row| row.id).collect())
}

/// What the dispatch needs of these jobs, without those that have ended.
async fn waiting(connections: &Connections, ids: &[Uuid]) -> Result<Vec<Unsettled>> {
    let Some(ids) = IdColumn::of(ids.iter().copied().map(JobId)) else { return Ok(Vec::new()) };
    let rows = sqlx::query_file!("sql/waiting.sql", &ids.ids, ids.low, ids.high);
    let rows = ask!(connections, c => rows.fetch_all(c))?;
    let mut waiting = Vec::with_capacity(rows.len());
    for row in rows {
        waiting.push(Unsettled {
            id: JobId(row.id),
            queue: QueueRef {
                tenant: Tenant::new(row.tenant).map_err(corrupt)?,
                queue: Queue::new(row.queue).map_err(corrupt)?,
            },
            kind: Kind::new(row.kind).map_err(corrupt)?,
            priority: rows::priority(row.id, row.priority)?,
            due: row.due.into(),
        });
    }
    Ok(waiting)
}
