//! `GET /v1/workers`: the processes that are alive.

use crate::{
    app::App,
    problem::{Problem, ProblemBody},
    query::Query,
    routes::json,
};
use axum::{
    extract::{RawQuery, State},
    response::Response,
};
use haul_core::{ProcessId, Timestamp, fleet::Member};
use http::StatusCode;
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;
use uuid::Uuid;

const LIMIT_MAX: usize = 100;

/// A process that is alive.
#[derive(Serialize, ToSchema)]
#[schema(as = Worker)]
struct WorkerView {
    /// Its id.
    id: Uuid,
    /// What it runs: `api`, `worker`, `scheduler`, or `up` for all of them.
    role: String,
    /// The name of its machine; null when it told none.
    host: Option<String>,
    /// Its process id on that machine; null when it told none.
    pid: Option<u32>,
    /// The version of its program; null when it told none.
    version: Option<String>,
    /// When it was first heard of.
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
    /// When it was last heard of. After 15 s of silence it is no longer listed.
    #[schema(value_type = String, format = DateTime)]
    last_heartbeat: Timestamp,
    /// The queues that it takes jobs from; empty for all of them; null when it runs no jobs.
    queues: Option<Vec<String>>,
    /// How many attempts it can run at a time; null when it runs no jobs.
    slots: Option<u32>,
    /// How many of them were in use at its last heartbeat; null when it runs no jobs.
    busy: Option<u32>,
}

/// A page of processes, by id.
#[derive(Serialize, ToSchema)]
pub(crate) struct WorkerPage {
    /// The processes.
    data: Vec<WorkerView>,
    /// Whether more follow.
    has_more: bool,
    /// Give it back as `cursor` to read on; null at the end.
    next_cursor: Option<String>,
}

/// Lists the processes that are alive, by id.
///
/// Workers with their slots, and the processes of the other roles.
#[utoipa::path(
    get,
    path = "/v1/workers",
    tag = "workers",
    operation_id = "listWorkers",
    params(
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 100, description = "Processes in a page; 100 unless told otherwise."),
        ("cursor" = Option<String>, Query, description = "The `next_cursor` of the page before."),
    ),
    responses(
        (status = OK, description = "A page.", body = WorkerPage),
        (status = "4XX", description = "The query is wrong.", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "Try again.", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn list(State(app): State<Arc<App>>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let mut query = Query::new(query.as_deref());
    let limit = query.number("limit", LIMIT_MAX, 1, LIMIT_MAX);
    let cursor = query.text("cursor");
    query.finish()?;
    let identity = "GET /v1/workers";
    let after = match cursor {
        Some(cursor) => {
            let position = app.cursors.read(identity, &cursor)?;
            Some(ProcessId(Uuid::from_slice(&position).map_err(Problem::internal)?))
        }
        None => None,
    };
    let mut members = app.fleet.alive(after, limit + 1).await?;
    let has_more = members.len() > limit;
    members.truncate(limit);
    let last = members.last().filter(|_| has_more);
    let next_cursor = last.map(|last| app.cursors.write(identity, last.report.id.0.as_bytes()));
    let data = members.into_iter().map(WorkerView::of).collect();
    json(StatusCode::OK, &WorkerPage { data, has_more, next_cursor })
}

impl WorkerView {
    fn of(member: Member) -> Self {
        let Member { report, since, seen } = member;
        let about = report.about;
        let told = |text: String| Some(text).filter(|text| !text.is_empty());
        Self {
            id: report.id.0,
            role: report.role,
            host: told(about.host),
            pid: Some(about.pid).filter(|pid| *pid != 0),
            version: told(about.version),
            since,
            last_heartbeat: seen,
            slots: about.work.as_ref().map(|work| work.slots),
            busy: about.work.as_ref().map(|work| work.busy),
            queues: about.work.map(|work| work.queues),
        }
    }
}
