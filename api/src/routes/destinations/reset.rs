//! `POST /v1/destinations/{destination}/reset`: forget what went wrong.

use super::{DestinationView, find, missing};
use crate::{
    app::App,
    problem::{Problem, ProblemBody},
    query::Query,
    routes::{DestinationPath, json},
};
use axum::{
    extract::{RawQuery, State},
    response::Response,
};
use http::StatusCode;
use std::sync::Arc;

/// Closes a destination's breaker.
///
/// Its failures, pauses and line are forgotten; calls in flight stay counted. Whoever comes next calls it at once; jobs that were
/// told when to come back come then, a minute later or so.
#[utoipa::path(
    post,
    path = "/v1/destinations/{destination}/reset",
    tag = "destinations",
    operation_id = "resetDestination",
    params(("destination" = String, Path, description = "Scheme, host and port: `https://api.example.com:443`.")),
    responses(
        (status = OK, description = "The destination, with its breaker closed.", body = DestinationView),
        (status = "4XX", description = "Nothing is known of it.", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "Try again.", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn reset(
    State(app): State<Arc<App>>,
    DestinationPath(destination): DestinationPath,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    Query::none(query.as_deref())?;
    if !app.pace.reset(&destination).await? {
        return Err(missing());
    }
    tracing::info!(%destination, "its breaker is reset");
    json(StatusCode::OK, &find(&app, &destination).await?)
}
