//! `GET /v1/schedules`: every schedule, by name.

use crate::{
    app::App,
    problem::{Problem, ProblemBody},
    query::Query,
    routes::json,
    schedule::view::{SchedulePage, ScheduleView},
};
use axum::{
    extract::{RawQuery, State},
    response::Response,
};
use haul_core::ScheduleName;
use http::StatusCode;
use std::sync::Arc;

const LIMIT_MAX: usize = 100;
/// Next ticks that come with each.
const NEXT: usize = 1;

/// Lists schedules, by name.
///
/// Each as `GET /v1/schedules/{name}` shows it, with its next tick only.
#[utoipa::path(
    get,
    path = "/v1/schedules",
    tag = "schedules",
    operation_id = "listSchedules",
    params(
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 100, description = "Schedules in a page; 100 unless told otherwise."),
        ("cursor" = Option<String>, Query, description = "The `next_cursor` of the page before."),
    ),
    responses(
        (status = OK, description = "A page.", body = SchedulePage),
        (status = "4XX", description = "The query is wrong.", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "Try again.", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn list(State(app): State<Arc<App>>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let mut query = Query::new(query.as_deref());
    let limit = query.number("limit", LIMIT_MAX, 1, LIMIT_MAX);
    let cursor = query.text("cursor");
    query.finish()?;
    let identity = format!("GET /v1/schedules {}", app.tenant);
    let after = match cursor {
        Some(cursor) => {
            let position = app.cursors.read(&identity, &cursor)?;
            let name = String::from_utf8(position).map_err(Problem::internal)?;
            Some(ScheduleName::new(name).map_err(Problem::internal)?)
        }
        None => None,
    };
    let mut schedules = app.schedules.list(&app.tenant, after.as_ref(), limit + 1).await?;
    let has_more = schedules.len() > limit;
    schedules.truncate(limit);
    let last = schedules.last().filter(|_| has_more);
    let next_cursor = last.map(|last| app.cursors.write(&identity, last.key.name.as_str().as_bytes()));
    let now = app.now();
    let data = schedules.iter().map(|schedule| ScheduleView::of(schedule, now, NEXT)).collect();
    json(StatusCode::OK, &SchedulePage { data, has_more, next_cursor })
}
