//! `POST /v1/endpoints`: create an endpoint.

use super::shown;
use crate::{
    app::App,
    endpoint::{self, EndpointView},
    fields::Fields,
    headers,
    openapi::EndpointWish,
    problem::{Problem, ProblemBody, ProblemType},
    query::Query,
};
use axum::{
    extract::{Request, State},
    response::Response,
};
use haul_core::{
    endpoints::{Created, ENDPOINTS_MAX, Endpoint, EndpointId, Keyring, NewEndpoint, SigningKey},
    ledger::LedgerError,
};
use http::{HeaderValue, StatusCode, header};
use std::sync::Arc;

/// Creates an endpoint.
///
/// From now on it gets every event that it wants. The answer holds its `secret`, with which receivers check deliveries
/// (Standard Webhooks): it is shown this once. With an `Idempotency-Key`, the same request under the same key creates
/// nothing and answers the same endpoint, as it is by then; with its secret, unless it was changed since.
#[utoipa::path(
    post,
    path = "/v1/endpoints",
    tag = "webhooks",
    operation_id = "createEndpoint",
    params(("Idempotency-Key" = Option<String>, Header, max_length = 255, description = "Makes repeating safe, for 24 hours.")),
    request_body(content = EndpointWish, description = "The endpoint."),
    responses(
        (
            status = CREATED, description = "It is committed.", body = EndpointView,
            headers(
                ("Location" = String, description = "Its path."),
                ("ETag" = String, description = "Its version, for `If-Match`."),
                ("Idempotency-Replayed" = Option<String>, description = "`true` when it was created before."),
            ),
        ),
        (status = "4XX", description = "Nothing was created.", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "Try again, with a key.", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn create(State(app): State<Arc<App>>, request: Request) -> Result<Response, Problem> {
    Query::none(request.uri().query())?;
    let key = headers::idempotency_key(request.headers())?;
    let body = app.json_body(request).await?;
    let new = {
        let fields = Fields::parse(&body, app.rules.depth_max)?;
        let idempotency = match key {
            Some(key) => Some(app.rules.idempotency(key, &fields.canonical("/v1/endpoints")?)),
            None => None,
        };
        NewEndpoint {
            id: EndpointId::new(&app.clock),
            tenant: app.tenant.clone(),
            settings: endpoint::wish(&fields, None, &app.rules, app.now())?.settings,
            keys: Keyring::new(SigningKey::random()),
            idempotency,
        }
    };
    match app.endpoints.create(&new).await {
        Ok(Created::New(endpoint)) => created(&app, &endpoint, false),
        Ok(Created::Replayed(id)) => match app.endpoints.get(&app.tenant, id).await? {
            Some(endpoint) => created(&app, &endpoint, true),
            None => {
                let detail = "the endpoint that was created under this key has been deleted";
                Err(Problem::new(ProblemType::EndpointNotFound, detail))
            }
        },
        Ok(Created::KeyReused) => {
            Err(Problem::new(ProblemType::IdempotencyKeyReused, "another request came under this key before"))
        }
        Ok(Created::TooMany) => {
            let detail = format!("there are {ENDPOINTS_MAX} endpoints, more are not allowed");
            Err(Problem::new(ProblemType::LimitReached, detail))
        }
        Err(LedgerError::Contended(cause)) if new.idempotency.is_some() => {
            Err(Problem::new(ProblemType::IdempotencyKeyInUse, "a request under this key is being committed")
                .because(cause))
        }
        Err(error) => Err(error.into()),
    }
}

/// A replay shows the secret that the first answer showed, which may have been lost, and no other: once the endpoint was
/// changed in any way, its key may be one that somebody else was shown.
fn created(app: &App, endpoint: &Endpoint, replayed: bool) -> Result<Response, Problem> {
    let mut response = shown(app, StatusCode::CREATED, endpoint, endpoint.version == 1)?;
    let location = format!("/v1/endpoints/{}", endpoint.id);
    let to = response.headers_mut();
    to.insert(header::LOCATION, HeaderValue::try_from(location).map_err(Problem::internal)?);
    if replayed {
        to.insert(headers::IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}
