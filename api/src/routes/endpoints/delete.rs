//! `DELETE /v1/endpoints/{id}`: an endpoint that is to get nothing any more.

use super::{find, missing};
use crate::{
    app::App,
    etag::{self, Condition},
    problem::{Problem, ProblemBody},
    query::Query,
    routes::EndpointPath,
};
use axum::{
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use haul_core::endpoints::{Changed, Endpoint};
use http::StatusCode;
use std::sync::Arc;

/// Deletes an endpoint.
///
/// Deliveries to it that wait end as dead. With `If-Match` only if it is as it was.
#[utoipa::path(
    delete,
    path = "/v1/endpoints/{id}",
    tag = "webhooks",
    operation_id = "deleteEndpoint",
    params(
        ("id" = uuid::Uuid, Path, description = "The endpoint's id."),
        ("If-Match" = Option<String>, Header, description = "The `ETag` of the endpoint that is meant."),
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
    EndpointPath(id): EndpointPath,
    request: Request,
) -> Result<Response, Problem> {
    Query::none(request.uri().query())?;
    let version = match Condition::read(request.headers())? {
        None => None,
        Some(condition) => {
            let stored = find(&app, id).await?;
            condition.check(&stored)?;
            Some(stored.version)
        }
    };
    match app.endpoints.delete(&app.tenant, id, version).await? {
        Changed::Done(_) => Ok(StatusCode::NO_CONTENT.into_response()),
        Changed::Stale => Err(etag::changed::<Endpoint>()),
        Changed::Unknown => Err(missing()),
    }
}
