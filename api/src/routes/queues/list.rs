//! `GET /v1/queues`: every queue, with what waits in it.

use super::{view, without_figures};
use crate::{
    app::{App, DISPATCH_WAIT_MAX},
    problem::{Problem, ProblemBody},
    query::Query,
    routes::json,
    view::QueuePage,
};
use axum::{
    extract::{RawQuery, State},
    response::Response,
};
use futures::{StreamExt, stream};
use haul_core::ledger::QueueInfo;
use http::StatusCode;
use std::sync::Arc;
use tokio::time::{Instant, timeout_at};

const LIMIT_MAX: usize = 100;
/// Queues asked for their figures at a time.
const STATS_IN_FLIGHT: usize = 16;

/// Lists queues, by name.
///
/// The figures come from the dispatch; they are null when it cannot be reached in time.
#[utoipa::path(
    get,
    path = "/v1/queues",
    tag = "queues",
    operation_id = "listQueues",
    params(
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 100, description = "Queues in a page; 100 unless told otherwise."),
        ("cursor" = Option<String>, Query, description = "The `next_cursor` of the page before."),
    ),
    responses(
        (status = OK, description = "A page.", body = QueuePage),
        (status = "4XX", description = "The query is wrong.", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "Try again.", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn list(State(app): State<Arc<App>>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let mut query = Query::new(query.as_deref());
    let limit = query.number("limit", LIMIT_MAX, 1, LIMIT_MAX);
    let cursor = query.text("cursor");
    query.finish()?;
    let identity = format!("GET /v1/queues {}", app.tenant);
    let after = cursor.map(|cursor| app.cursors.read(&identity, &cursor)).transpose()?;
    let mut infos = app.ledger.queues().await?;
    infos.retain(|info| info.queue.tenant == app.tenant && after.as_deref().is_none_or(|after| name(info) > after));
    infos.sort_unstable_by(|one, other| name(one).cmp(name(other)));
    let has_more = infos.len() > limit;
    infos.truncate(limit);
    let next_cursor = infos.last().filter(|_| has_more).map(|last| app.cursors.write(&identity, name(last)));
    let end = Instant::now() + DISPATCH_WAIT_MAX;
    let app = &app;
    let data = stream::iter(infos)
        .map(|info| async move { timeout_at(end, view(app, &info)).await.unwrap_or_else(|_| without_figures(&info)) })
        .buffered(STATS_IN_FLIGHT)
        .collect()
        .await;
    json(StatusCode::OK, &QueuePage { data, has_more, next_cursor })
}

fn name(info: &QueueInfo) -> &[u8] {
    info.queue.queue.as_str().as_bytes()
}
