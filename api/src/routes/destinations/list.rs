//! `GET /v1/destinations`: whom jobs have called of late, and how that went.

use super::DestinationView;
use crate::{
    app::App,
    problem::{Problem, ProblemBody},
    query::Query,
    routes::json,
};
use axum::{
    extract::{RawQuery, State},
    response::Response,
};
use haul_core::pace::Destination;
use http::StatusCode;
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

const LIMIT_MAX: usize = 100;

/// A page of destinations, by name.
#[derive(Serialize, ToSchema)]
pub(crate) struct DestinationPage {
    /// The destinations.
    data: Vec<DestinationView>,
    /// Whether more follow.
    has_more: bool,
    /// Give it back as `cursor` to read on; null at the end.
    next_cursor: Option<String>,
}

/// Lists the destinations that jobs have called of late, by name.
///
/// One that nobody calls is forgotten after an hour or two. When the store that workers share does not answer, neither does this:
/// what each process counts meanwhile is known to itself only.
#[utoipa::path(
    get,
    path = "/v1/destinations",
    tag = "destinations",
    operation_id = "listDestinations",
    params(
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 100, description = "Destinations in a page; 100 unless told otherwise."),
        ("cursor" = Option<String>, Query, description = "The `next_cursor` of the page before."),
    ),
    responses(
        (status = OK, description = "A page.", body = DestinationPage),
        (status = "4XX", description = "The query is wrong.", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "Try again.", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn list(State(app): State<Arc<App>>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let mut query = Query::new(query.as_deref());
    let limit = query.number("limit", LIMIT_MAX, 1, LIMIT_MAX);
    let cursor = query.text("cursor");
    query.finish()?;
    let identity = "GET /v1/destinations";
    let after = match cursor {
        Some(cursor) => {
            let position = app.cursors.read(identity, &cursor)?;
            let name = std::str::from_utf8(&position).map_err(Problem::internal)?;
            Some(Destination::new(name).map_err(Problem::internal)?)
        }
        None => None,
    };
    let mut sights = app.pace.page(after.as_ref(), limit + 1).await?;
    let has_more = sights.len() > limit;
    sights.truncate(limit);
    let last = sights.last().filter(|_| has_more);
    let next_cursor = last.map(|last| app.cursors.write(identity, last.destination.as_str().as_bytes()));
    let data = sights.into_iter().map(|sight| DestinationView::of(&app, sight)).collect();
    json(StatusCode::OK, &DestinationPage { data, has_more, next_cursor })
}
