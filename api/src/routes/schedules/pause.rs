//! `POST /v1/schedules/{name}/pause` and `/resume`.

use super::{key, missing, shown, version};
use crate::{
    app::App,
    etag::{self, Condition},
    problem::{Problem, ProblemBody},
    query::Query,
    routes::SchedulePath,
    schedule::view::ScheduleView,
};
use axum::{
    extract::{Request, State},
    response::Response,
};
use haul_core::{
    ScheduleName,
    schedules::{Changed, Schedule},
};
use http::StatusCode;
use std::sync::Arc;

/// Pauses a schedule.
///
/// It fires nothing until it is resumed; what it has fired runs. A tick that comes meanwhile is missed, and counted in
/// `overdue`.
#[utoipa::path(
    post,
    path = "/v1/schedules/{name}/pause",
    tag = "schedules",
    operation_id = "pauseSchedule",
    params(
        ("name" = String, Path, description = "The schedule's name."),
        ("If-Match" = Option<String>, Header, description = "The `ETag` of the schedule that is meant."),
    ),
    responses(
        (
            status = OK, description = "The schedule, now paused.", body = ScheduleView,
            headers(("ETag" = String, description = "Its version, for `If-Match`.")),
        ),
        (status = "4XX", description = "There is no such schedule.", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "Try again.", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn pause(
    State(app): State<Arc<App>>,
    SchedulePath(name): SchedulePath,
    request: Request,
) -> Result<Response, Problem> {
    Query::none(request.uri().query())?;
    change(&app, name, Condition::read(request.headers())?, true).await
}

/// Resumes a schedule.
///
/// Ticks that were missed meanwhile are treated as `missed` says: the last one fires, unless told otherwise.
#[utoipa::path(
    post,
    path = "/v1/schedules/{name}/resume",
    tag = "schedules",
    operation_id = "resumeSchedule",
    params(
        ("name" = String, Path, description = "The schedule's name."),
        ("If-Match" = Option<String>, Header, description = "The `ETag` of the schedule that is meant."),
    ),
    responses(
        (
            status = OK, description = "The schedule, no longer paused.", body = ScheduleView,
            headers(("ETag" = String, description = "Its version, for `If-Match`.")),
        ),
        (status = "4XX", description = "There is no such schedule.", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "Try again.", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn resume(
    State(app): State<Arc<App>>,
    SchedulePath(name): SchedulePath,
    request: Request,
) -> Result<Response, Problem> {
    Query::none(request.uri().query())?;
    change(&app, name, Condition::read(request.headers())?, false).await
}

async fn change(
    app: &App,
    name: ScheduleName,
    condition: Option<Condition>,
    paused: bool,
) -> Result<Response, Problem> {
    let version = version(app, &name, condition).await?;
    match app.schedules.set_paused(&key(app, name), version, paused).await? {
        Changed::Done(schedule) => shown(app, StatusCode::OK, &schedule),
        Changed::Stale => Err(etag::changed::<Schedule>()),
        Changed::Unknown => Err(missing()),
    }
}
