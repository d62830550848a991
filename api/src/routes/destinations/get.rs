//! `GET /v1/destinations/{destination}`: one of them.

use super::{DestinationView, find};
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

/// Shows a destination.
///
/// Its name is one segment of the path, percent-encoded: `https%3A%2F%2Fapi.example.com%3A443`.
#[utoipa::path(
    get,
    path = "/v1/destinations/{destination}",
    tag = "destinations",
    operation_id = "getDestination",
    params(("destination" = String, Path, description = "Scheme, host and port: `https://api.example.com:443`.")),
    responses(
        (status = OK, description = "The destination.", body = DestinationView),
        (status = "4XX", description = "Nothing is known of it.", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "Try again.", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn get(
    State(app): State<Arc<App>>,
    DestinationPath(destination): DestinationPath,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    Query::none(query.as_deref())?;
    json(StatusCode::OK, &find(&app, &destination).await?)
}
