//! `GET /v1/jobs`: jobs, newest first, filtered.
//!
//! The ledger tells what has ended and what has not. Among the latter, states are derived here; which jobs *run* is known
//! to the dispatch only. Every page reads a bounded number of candidates and may come back short, with a cursor.

use crate::{
    app::{App, DISPATCH_WAIT_MAX},
    filter,
    problem::{Problem, ProblemBody, ProblemType},
    query::Query,
    routes::json,
    view::{JobPage, JobView, StateName},
};
use axum::{
    extract::{RawQuery, State},
    response::Response,
};
use futures::{StreamExt, TryStreamExt, stream};
use haul_core::{
    JobId, JobState,
    dispatch::DispatchError,
    ledger::{Filter, Page, QueueInfo},
    outcome::JobRecord,
};
use http::StatusCode;
use std::{cmp::Reverse, collections::HashSet, sync::Arc};
use tokio::time::timeout;

const LIMIT_DEFAULT: usize = 50;
pub(crate) const LIMIT_MAX: usize = 100;
/// Pages of the ledger read for one answer.
const READS_MAX: usize = 5;
/// Running jobs looked at in all.
const RUNNING_MAX: usize = 10_000;
/// Jobs read at a time.
const READS_IN_FLIGHT: usize = 8;

/// Lists jobs, newest first.
///
/// A page may hold fewer jobs than asked for, even none, although more follow: `has_more` and `next_cursor` tell.
#[utoipa::path(
    get,
    path = "/v1/jobs",
    tag = "jobs",
    operation_id = "listJobs",
    params(
        ("queue" = Option<String>, Query, description = "Only of this queue."),
        ("kind" = Option<String>, Query, description = "Only of this kind."),
        ("state" = Option<StateName>, Query, description = "Only in this state. `running` needs the dispatch."),
        ("tag" = Option<String>, Query, description = "Only with this tag, written `name:value`."),
        ("created_from" = Option<String>, Query, description = "Accepted at or after this time (RFC 3339)."),
        ("created_before" = Option<String>, Query, description = "Accepted before this time (RFC 3339)."),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 100, description = "Jobs in a page; 50 unless told otherwise."),
        ("cursor" = Option<String>, Query, description = "The `next_cursor` of the page before; with the same filters."),
    ),
    responses(
        (status = OK, description = "A page.", body = JobPage),
        (status = "4XX", description = "The query is wrong.", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "Try again.", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn list(State(app): State<Arc<App>>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let mut query = Query::new(query.as_deref());
    let (filter, state) = filter::from_query(&mut query);
    let limit = query.number("limit", LIMIT_DEFAULT, 1, LIMIT_MAX);
    let cursor = query.text("cursor");
    query.finish()?;
    let identity = filter::identity("GET /v1/jobs", app.tenant.as_str(), &filter, state);
    let before = read_cursor(&app, &identity, cursor.as_deref())?;
    let (page, leased) = match state {
        Some(JobState::Running) => running(&app, &filter, before, limit).await?,
        _ => known(&app, &filter, state, before, limit).await?,
    };
    let now = app.now();
    let data = page.jobs.iter().map(|record| JobView::current(record, leased.contains(&record.id()), now)).collect();
    let next_cursor = page.next.map(|next| app.cursors.write(&identity, next.as_bytes()));
    json(StatusCode::OK, &JobPage { data, has_more: next_cursor.is_some(), next_cursor })
}

/// The id that a cursor of a job list stands for.
pub(crate) fn read_cursor(app: &App, identity: &str, cursor: Option<&str>) -> Result<Option<JobId>, Problem> {
    let Some(cursor) = cursor else { return Ok(None) };
    let position = app.cursors.read(identity, cursor)?;
    let id = uuid::Uuid::from_slice(&position).map_err(Problem::internal)?;
    Ok(Some(JobId(id)))
}

/// Jobs by what the ledger knows, then by their derived state.
async fn known(
    app: &App,
    filter: &Filter,
    state: Option<JobState>,
    mut before: Option<JobId>,
    limit: usize,
) -> Result<(Page, HashSet<JobId>), Problem> {
    let mut found = Page::default();
    let mut all_leased = HashSet::new();
    for _ in 0..READS_MAX {
        let page = app.ledger.list(&app.tenant, filter, before, limit - found.jobs.len()).await?;
        let leased = app.leased(&page.jobs).await;
        let now = app.now();
        let fits = |record: &JobRecord| state.is_none_or(|state| state == derive(record, &leased, now));
        found.jobs.extend(page.jobs.into_iter().filter(fits));
        all_leased.extend(leased);
        found.next = page.next;
        before = page.next;
        if before.is_none() || found.jobs.len() >= limit {
            break;
        }
    }
    Ok((found, all_leased))
}

fn derive(record: &JobRecord, leased: &HashSet<JobId>, now: haul_core::Timestamp) -> JobState {
    let outcome = record.outcome.as_ref().map(|outcome| outcome.state);
    JobState::derive(outcome, leased.contains(&record.id()), record.failure_count, record.job.run_at, now)
}

/// Jobs that run now, by what the dispatch knows.
async fn running(
    app: &App,
    filter: &Filter,
    before: Option<JobId>,
    limit: usize,
) -> Result<(Page, HashSet<JobId>), Problem> {
    let queues = app.ledger.queues().await?;
    let fits = |info: &&QueueInfo| {
        info.queue.tenant == app.tenant && filter.queue.as_ref().is_none_or(|queue| *queue == info.queue.queue)
    };
    let leased = timeout(DISPATCH_WAIT_MAX, leased_ids(app, queues.iter().filter(fits), filter)).await;
    let mut ids = leased
        .map_err(|elapsed| Problem::new(ProblemType::DispatchUnavailable, "no answer in time").because(elapsed))??;
    let in_range = |id: &JobId| {
        before.is_none_or(|before| *id < before)
            && filter.created_from.is_none_or(|from| id.created_at() >= from)
            && filter.created_before.is_none_or(|before| id.created_at() < before)
    };
    ids.retain(in_range);
    ids.sort_unstable_by_key(|id| Reverse(*id));
    let candidates = &ids[..ids.len().min(limit)];
    let next = (ids.len() > limit).then(|| candidates.last().copied()).flatten();
    let records: Vec<Option<JobRecord>> = stream::iter(candidates.to_vec())
        .map(|id| async move { app.ledger.job(&app.tenant, id).await })
        .buffered(READS_IN_FLIGHT)
        .try_collect()
        .await?;
    let fits = |record: &JobRecord| {
        record.outcome.is_none()
            && filter.tag.as_ref().is_none_or(|(name, value)| record.job.options.tags.get(name) == Some(value))
    };
    let jobs: Vec<JobRecord> = records.into_iter().flatten().filter(fits).collect();
    Ok((Page { jobs, next }, ids.into_iter().collect()))
}

async fn leased_ids(
    app: &App,
    queues: impl Iterator<Item = &QueueInfo>,
    filter: &Filter,
) -> Result<Vec<JobId>, DispatchError> {
    let mut ids = Vec::new();
    for info in queues {
        let kinds: Vec<_> = info
            .kinds
            .iter()
            .filter(|kind| filter.kind.as_ref().is_none_or(|wanted| wanted == *kind))
            .cloned()
            .collect();
        if !kinds.is_empty() && ids.len() < RUNNING_MAX {
            ids.extend(app.dispatch.running(&info.queue, &kinds, RUNNING_MAX - ids.len()).await?);
        }
    }
    Ok(ids)
}
