//! `PATCH /v1/endpoints/{id}`: change what is said of an endpoint.

use super::{edit_of, find, missing, shown};
use crate::{
    app::App,
    endpoint::{self, EndpointView},
    etag::{self, Condition},
    fields::Fields,
    openapi::EndpointChange,
    problem::{Problem, ProblemBody},
    query::Query,
    routes::EndpointPath,
};
use axum::{
    extract::{Request, State},
    response::Response,
};
use haul_core::endpoints::{Changed, Disabled, Edit, Endpoint};
use http::StatusCode;
use std::sync::Arc;

/// Changes an endpoint.
///
/// What is not given stays as it is. `"enabled": true` takes up deliveries again, also to one that was disabled because it
/// failed or was gone. `If-Match` is required.
#[utoipa::path(
    patch,
    path = "/v1/endpoints/{id}",
    tag = "webhooks",
    operation_id = "updateEndpoint",
    params(
        ("id" = uuid::Uuid, Path, description = "The endpoint's id."),
        ("If-Match" = String, Header, description = "The `ETag` of the endpoint that this is a change of, or `*` for whatever it is."),
    ),
    request_body(content = EndpointChange, description = "What is to be different."),
    responses(
        (
            status = OK, description = "The endpoint as it is now.", body = EndpointView,
            headers(("ETag" = String, description = "Its version, for `If-Match`.")),
        ),
        (status = PRECONDITION_FAILED, description = "It was changed since.", body = ProblemBody, content_type = "application/problem+json"),
        (status = PRECONDITION_REQUIRED, description = "There is no `If-Match`.", body = ProblemBody, content_type = "application/problem+json"),
        (status = "4XX", description = "Nothing was changed.", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "Try again.", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn update(
    State(app): State<Arc<App>>,
    EndpointPath(id): EndpointPath,
    request: Request,
) -> Result<Response, Problem> {
    Query::none(request.uri().query())?;
    let condition = Condition::required(request.headers())?;
    let body = app.json_body(request).await?;
    let stored = find(&app, id).await?;
    condition.check(&stored)?;
    let wish = {
        let fields = Fields::parse(&body, app.rules.depth_max)?;
        endpoint::wish(&fields, Some(&stored.settings), &app.rules, app.now())?
    };
    let disabled = match wish.enabled {
        None => stored.disabled,
        Some(true) => None,
        Some(false) => stored.disabled.or(Some(Disabled::Owner)),
    };
    if wish.settings == stored.settings && disabled == stored.disabled {
        return shown(&app, StatusCode::OK, &stored, false);
    }
    match app.endpoints.edit(&Edit { settings: wish.settings, disabled, ..edit_of(stored) }).await? {
        Changed::Done(endpoint) => shown(&app, StatusCode::OK, &endpoint, false),
        Changed::Stale => Err(etag::changed::<Endpoint>()),
        Changed::Unknown => Err(missing()),
    }
}
