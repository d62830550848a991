//! `DELETE /v1/schedules/{name}`: a schedule that is to fire no more.

use super::{key, missing, version};
use crate::{
    app::App,
    etag::{self, Condition},
    problem::{Problem, ProblemBody},
    query::Query,
    routes::SchedulePath,
};
use axum::{
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use haul_core::schedules::{Changed, Schedule};
use http::StatusCode;
use std::sync::Arc;

/// Deletes a schedule.
///
/// Its jobs stay: those that it has fired run as if it were there. With `If-Match` only if it is as it was.
#[utoipa::path(
    delete,
    path = "/v1/schedules/{name}",
    tag = "schedules",
    operation_id = "deleteSchedule",
    params(
        ("name" = String, Path, description = "The schedule's name."),
        ("If-Match" = Option<String>, Header, description = "The `ETag` of the schedule that is meant."),
    ),
    responses(
        (status = NO_CONTENT, description = "It is gone."),
        (status = PRECONDITION_FAILED, description = "It was changed since.", body = ProblemBody, content_type = "application/problem+json"),
        (status = "4XX", description = "Nothing was deleted.", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "Try again.", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn delete(
    State(app): State<Arc<App>>,
    SchedulePath(name): SchedulePath,
    request: Request,
) -> Result<Response, Problem> {
    Query::none(request.uri().query())?;
    let version = version(&app, &name, Condition::read(request.headers())?).await?;
    match app.schedules.delete(&key(&app, name), version).await? {
        Changed::Done(_) => Ok(StatusCode::NO_CONTENT.into_response()),
        Changed::Stale => Err(etag::changed::<Schedule>()),
        Changed::Unknown => Err(missing()),
    }
}
