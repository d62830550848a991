//! `POST /v1/endpoints/{id}/replay`: deliveries of the past, made again.

use super::{draft_of, find};
use crate::{
    app::App,
    commit::Row,
    fields::{Fields, pointer_of},
    headers,
    openapi::ReplayWish,
    problem::{Problem, ProblemBody, ProblemType},
    query::Query,
    reader::Reader,
    routes::{EndpointPath, jobs},
    view::JobView,
};
use axum::{
    extract::{Request, State},
    response::Response,
};
use haul_core::{
    FinalState, Timestamp,
    endpoints::{
        EndpointId,
        jobs::{REPLAY_KIND, Replay},
    },
};
use std::sync::Arc;

/// Makes deliveries of a time again.
///
/// Those to this endpoint that were accepted from `since` until `until` and have ended: the dead ones, unless `state` says
/// otherwise. They come under the ids that they had, so that a receiver knows those that it has. The answer is the job that
/// does it. A single delivery is made again with `POST /v1/jobs/{id}/rerun`.
#[utoipa::path(
    post,
    path = "/v1/endpoints/{id}/replay",
    tag = "webhooks",
    operation_id = "replayDeliveries",
    params(
        ("id" = uuid::Uuid, Path, description = "The endpoint's id."),
        ("Idempotency-Key" = Option<String>, Header, max_length = 255, description = "Makes repeating safe, for 24 hours."),
    ),
    request_body(content = ReplayWish, description = "Which."),
    responses(
        (status = CREATED, description = "The replay is committed.", body = JobView, headers(("Location" = String, description = "The job's path."))),
        (status = "4XX", description = "Nothing was accepted.", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "Try again, with a key.", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn replay(
    State(app): State<Arc<App>>,
    EndpointPath(id): EndpointPath,
    request: Request,
) -> Result<Response, Problem> {
    Query::none(request.uri().query())?;
    let key = headers::idempotency_key(request.headers())?;
    let body = app.json_body(request).await?;
    let endpoint = find(&app, id).await?;
    let row = {
        let fields = Fields::parse(&body, app.rules.depth_max)?;
        let replay = wish(&fields, endpoint.id, app.now())?;
        let payload = serde_json::to_vec(&replay).map_err(Problem::internal)?;
        let draft = draft_of(REPLAY_KIND, Some(endpoint.id), None, payload)?;
        let target = format!("/v1/endpoints/{id}/replay");
        let idempotency = match key {
            Some(key) => Some(app.rules.idempotency(key, &fields.canonical(&target)?)),
            None => None,
        };
        Row { draft, idempotency }
    };
    jobs::accept(&app, row).await
}

fn wish(fields: &Fields<'_>, endpoint: EndpointId, now: Timestamp) -> Result<Replay, Problem> {
    let mut reader = Reader::new("", now);
    let (mut since, mut until, mut state) = (None, now, Some(FinalState::Dead));
    match fields {
        Fields::Other => reader.fail("", "must be an object"),
        Fields::Object(members) => {
            for (name, value) in members {
                match &**name {
                    "since" => since = reader.time("/since", value),
                    "until" if *value == "null" => {}
                    "until" => until = reader.time("/until", value).unwrap_or(now),
                    "state" => state = ended(&mut reader, value),
                    unknown => reader.fail(&pointer_of(unknown), "is not a field of a replay"),
                }
            }
            if !members.iter().any(|(name, _)| name == "since") {
                reader.fail("/since", "is required");
            }
        }
    }
    if since.is_some_and(|since| since >= until) {
        reader.fail("/until", "is not after since");
    }
    match since {
        Some(since) if reader.errors.is_empty() => Ok(Replay { endpoint, since, until, state, before: None }),
        _ => Err(reader.into_problem(ProblemType::InvalidRequest)),
    }
}

/// Which have to be made again; `None`: all of them.
fn ended(reader: &mut Reader<'_>, value: &str) -> Option<FinalState> {
    match reader.text("/state", value).as_deref() {
        Some("dead") => Some(FinalState::Dead),
        Some("succeeded") => Some(FinalState::Succeeded),
        Some("cancelled") => Some(FinalState::Cancelled),
        Some("any") => None,
        Some(_) => {
            reader.fail("/state", "must be dead, succeeded, cancelled or any");
            None
        }
        None => None,
    }
}
