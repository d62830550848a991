//! `/log` of the API's process.

use crate::{
    app::App,
    log::{self, LogState},
    openapi::LogChange,
    problem::{Problem, ProblemBody},
};
use axum::{
    extract::{RawQuery, Request, State},
    response::Response,
};
use std::sync::Arc;

/// Shows what the process logs.
///
/// Every process has a filter of its own; each role serves `/log` where `--ops-listen` says.
#[utoipa::path(
    get, path = "/log", tag = "ops", operation_id = "log",
    responses(
        (status = OK, description = "What is let through.", body = LogState),
        (status = "4XX", description = "The program does its logging by itself.", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn show(State(app): State<Arc<App>>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    log::show(&*app.log_filter, query.as_deref())
}

/// Changes what the process logs.
///
/// With `for` the configured filter returns by itself. What Haul did not write is logged from `info` up only, whatever the filter
/// says.
#[utoipa::path(
    put, path = "/log", tag = "ops", operation_id = "changeLog",
    request_body(content = LogChange, description = "What to let through."),
    responses(
        (status = OK, description = "What is let through from now on.", body = LogState),
        (status = "4XX", description = "Nothing was changed.", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn set(State(app): State<Arc<App>>, request: Request) -> Result<Response, Problem> {
    let query = request.uri().query().map(str::to_owned);
    let body = app.json_body_within(request, log::BODY_BYTES_MAX).await?;
    log::set(&*app.log_filter, query.as_deref(), &body)
}

/// Returns to what is configured.
#[utoipa::path(
    delete, path = "/log", tag = "ops", operation_id = "resetLog",
    responses(
        (status = OK, description = "What is let through from now on.", body = LogState),
        (status = "4XX", description = "Nothing was changed.", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn reset(State(app): State<Arc<App>>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    log::reset(&*app.log_filter, query.as_deref())
}
