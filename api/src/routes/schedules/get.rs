//! `GET /v1/schedules/{name}`: everything about one schedule.

use super::{NEXT, find};
use crate::{
    app::App,
    etag,
    problem::{Problem, ProblemBody},
    query::Query,
    routes::{SchedulePath, json},
    schedule::view::ScheduleView,
};
use axum::{
    extract::{RawQuery, State},
    response::Response,
};
use http::{StatusCode, header};
use std::sync::Arc;

/// Next ticks that may be asked for.
const NEXT_MAX: usize = 100;

/// Shows a schedule.
///
/// What it says, how far it has come, what was missed, what keeps it from firing, and its next ticks.
#[utoipa::path(
    get,
    path = "/v1/schedules/{name}",
    tag = "schedules",
    operation_id = "getSchedule",
    params(
        ("name" = String, Path, description = "The schedule's name."),
        ("next" = Option<u32>, Query, minimum = 0, maximum = 100, description = "How many of its next ticks to show; 5 unless told otherwise."),
    ),
    responses(
        (
            status = OK, description = "The schedule.", body = ScheduleView,
            headers(("ETag" = String, description = "Its version, for `If-Match`.")),
        ),
        (status = "4XX", description = "There is no such schedule.", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "Try again.", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn get(
    State(app): State<Arc<App>>,
    SchedulePath(name): SchedulePath,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let mut query = Query::new(query.as_deref());
    let next = query.number("next", NEXT, 0, NEXT_MAX);
    query.finish()?;
    let schedule = find(&app, name).await?;
    let mut response = json(StatusCode::OK, &ScheduleView::of(&schedule, app.now(), next))?;
    response.headers_mut().insert(header::ETAG, etag::header_value(&schedule)?);
    Ok(response)
}
