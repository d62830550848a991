//! `POST /v1/endpoints/{id}/rotate`: a new secret, and a time in which the old one is good as well.

use super::{edit_of, find, missing, shown};
use crate::{
    app::App,
    endpoint::EndpointView,
    etag,
    fields::{Fields, pointer_of},
    openapi::Rotation,
    problem::{Problem, ProblemBody, ProblemType},
    query::Query,
    reader::Reader,
    routes::EndpointPath,
};
use axum::{
    extract::{Request, State},
    response::Response,
};
use haul_core::{
    Timestamp,
    endpoints::{Changed, Edit, Endpoint, SigningKey},
};
use http::StatusCode;
use std::{sync::Arc, time::Duration};

/// How long the key before is good unless told otherwise.
const OVERLAP: Duration = Duration::from_secs(24 * 3_600);
/// How long it may be, in milliseconds.
const OVERLAP_MS_MAX: u64 = 30 * 24 * 3_600 * 1_000;

/// Gives an endpoint a new secret.
///
/// It is shown in this answer, and never again. For the `overlap` deliveries are signed with the old one, too, so that the
/// receiver may change over whenever it likes. `"overlap": "0s"` ends the old one at once.
#[utoipa::path(
    post,
    path = "/v1/endpoints/{id}/rotate",
    tag = "webhooks",
    operation_id = "rotateEndpointSecret",
    params(("id" = uuid::Uuid, Path, description = "The endpoint's id.")),
    request_body(content = Option<Rotation>, description = "How long the old secret stays good."),
    responses(
        (
            status = OK, description = "The endpoint, with its new secret.", body = EndpointView,
            headers(("ETag" = String, description = "Its version, for `If-Match`.")),
        ),
        (status = "4XX", description = "Nothing was changed.", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "Rotate again.", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn rotate(
    State(app): State<Arc<App>>,
    EndpointPath(id): EndpointPath,
    request: Request,
) -> Result<Response, Problem> {
    Query::none(request.uri().query())?;
    let body = app.optional_json_body(request).await?;
    let now = app.now();
    let overlap = overlap(&body, app.rules.depth_max, now)?;
    let stored = find(&app, id).await?;
    let keys = stored.keys.rotated(SigningKey::random(), now, overlap);
    match app.endpoints.edit(&Edit { keys, ..edit_of(stored) }).await? {
        Changed::Done(endpoint) => shown(&app, StatusCode::OK, &endpoint, true),
        Changed::Stale => Err(etag::changed::<Endpoint>()),
        Changed::Unknown => Err(missing()),
    }
}

fn overlap(body: &[u8], depth_max: usize, now: Timestamp) -> Result<Duration, Problem> {
    let (mut overlap, mut reader) = (OVERLAP, Reader::new("", now));
    if body.is_empty() {
        return Ok(overlap);
    }
    match Fields::parse(body, depth_max)? {
        Fields::Other => reader.fail("", "must be an object, or nothing"),
        Fields::Object(members) => {
            for (name, value) in members {
                match &*name {
                    "overlap" => {
                        let span = reader.span("/overlap", value, 0, OVERLAP_MS_MAX, "\"0s\" and \"30days\"");
                        overlap = span.map_or(overlap, |span| span.as_duration());
                    }
                    unknown => reader.fail(&pointer_of(unknown), "is not a field of a rotation"),
                }
            }
        }
    }
    if reader.errors.is_empty() { Ok(overlap) } else { Err(reader.into_problem(ProblemType::InvalidRequest)) }
}
