//! `POST /v1/endpoints`: create an endpoint.

use super::shown;
use crate::{
    app::App,
    endpoint::{self, EndpointView},
    openapi::EndpointWish,
    problem::{Problem, ProblemBody, ProblemType},
    query::Query,
};
use axum::{
    extract::{Request, State},
    response::Response,
};
use haul_core::endpoints::{Created, ENDPOINTS_MAX, EndpointId, Keyring, NewEndpoint, SigningKey};
use http::{HeaderValue, StatusCode, header};
use std::sync::Arc;

/// Creates an endpoint.
///
/// From now on it gets every event that it wants. The answer holds its `secret`, with which receivers check deliveries
/// (Standard Webhooks): it is shown this once.
#[utoipa::path(
    post,
    path = "/v1/endpoints",
    tag = "webhooks",
    operation_id = "createEndpoint",
    request_body(content = EndpointWish, description = "The endpoint."),
    responses(
        (
            status = CREATED, description = "It is committed.", body = EndpointView,
            headers(
                ("Location" = String, description = "Its path."),
                ("ETag" = String, description = "Its version, for `If-Match`."),
            ),
        ),
        (status = "4XX", description = "Nothing was created.", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "It may have been created; look.", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn create(State(app): State<Arc<App>>, request: Request) -> Result<Response, Problem> {
    Query::none(request.uri().query())?;
    let body = app.json_body(request).await?;
    let wish = endpoint::wish(&body, None, &app.check_url, &app.rules, app.now())?;
    let new = NewEndpoint {
        id: EndpointId::new(&app.clock),
        tenant: app.tenant.clone(),
        settings: wish.settings,
        keys: Keyring::new(SigningKey::random()),
    };
    match app.endpoints.create(&new).await? {
        Created::New(endpoint) => {
            let mut response = shown(&app, StatusCode::CREATED, &endpoint, true)?;
            let location = format!("/v1/endpoints/{}", endpoint.id);
            let location = HeaderValue::try_from(location).map_err(Problem::internal)?;
            response.headers_mut().insert(header::LOCATION, location);
            Ok(response)
        }
        Created::TooMany => {
            let detail = format!("there are {ENDPOINTS_MAX} endpoints, more are not allowed");
            Err(Problem::new(ProblemType::LimitReached, detail))
        }
    }
}
