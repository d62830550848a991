//! `GET /v1/endpoints`: endpoints, in the order of their creation.

use crate::{
    app::App,
    endpoint::{EndpointPage, EndpointView},
    problem::{Problem, ProblemBody},
    query::Query,
    routes::json,
};
use axum::{
    extract::{RawQuery, State},
    response::Response,
};
use haul_core::endpoints::EndpointId;
use http::StatusCode;
use std::sync::Arc;
use uuid::Uuid;

const LIMIT_MAX: usize = 100;

/// Lists endpoints.
#[utoipa::path(
    get,
    path = "/v1/endpoints",
    tag = "webhooks",
    operation_id = "listEndpoints",
    params(
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 100, description = "Endpoints in a page; 100 unless told otherwise."),
        ("cursor" = Option<String>, Query, description = "The `next_cursor` of the page before."),
    ),
    responses(
        (status = OK, description = "A page.", body = EndpointPage),
        (status = "4XX", description = "The query is wrong.", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "Try again.", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn list(State(app): State<Arc<App>>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let mut query = Query::new(query.as_deref());
    let limit = query.number("limit", LIMIT_MAX, 1, LIMIT_MAX);
    let cursor = query.text("cursor");
    query.finish()?;
    let identity = format!("GET /v1/endpoints {}", app.tenant);
    let after = match cursor {
        Some(cursor) => {
            let position = app.cursors.read(&identity, &cursor)?;
            Some(EndpointId(Uuid::from_slice(&position).map_err(Problem::internal)?))
        }
        None => None,
    };
    let mut endpoints = app.endpoints.list(&app.tenant, after, limit + 1).await?;
    let has_more = endpoints.len() > limit;
    endpoints.truncate(limit);
    let last = endpoints.last().filter(|_| has_more);
    let next_cursor = last.map(|last| app.cursors.write(&identity, last.id.0.as_bytes()));
    let now = app.now();
    let data = endpoints.iter().map(|endpoint| EndpointView::of(endpoint, now, false)).collect();
    json(StatusCode::OK, &EndpointPage { data, has_more, next_cursor })
}
