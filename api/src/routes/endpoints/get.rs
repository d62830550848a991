//! `GET /v1/endpoints/{id}`: one endpoint.

use super::{find, shown};
use crate::{
    app::App,
    endpoint::EndpointView,
    problem::{Problem, ProblemBody},
    query::Query,
    routes::EndpointPath,
};
use axum::{
    extract::{RawQuery, State},
    response::Response,
};
use http::StatusCode;
use std::sync::Arc;

/// Shows an endpoint, without its secret.
#[utoipa::path(
    get,
    path = "/v1/endpoints/{id}",
    tag = "webhooks",
    operation_id = "getEndpoint",
    params(("id" = uuid::Uuid, Path, description = "The endpoint's id.")),
    responses(
        (
            status = OK, description = "The endpoint.", body = EndpointView,
            headers(("ETag" = String, description = "Its version, for `If-Match`.")),
        ),
        (status = "4XX", description = "There is no such endpoint.", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "Try again.", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn get(
    State(app): State<Arc<App>>,
    EndpointPath(id): EndpointPath,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    Query::none(query.as_deref())?;
    shown(&app, StatusCode::OK, &find(&app, id).await?, false)
}
