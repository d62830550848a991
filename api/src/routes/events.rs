//! `POST /v1/events`: something happened, and whoever wants to know of it is told.

use super::{endpoints::draft_of, jobs};
use crate::{
    app::App,
    commit::Row,
    fields::{Fields, pointer_of},
    headers,
    openapi::EventWish,
    problem::{Problem, ProblemBody, ProblemType},
    query::Query,
    reader::Reader,
    view::JobView,
};
use axum::{
    extract::{Request, State},
    response::Response,
};
use haul_core::{
    Timestamp,
    endpoints::{
        EventType,
        jobs::{EVENT_BYTES_MAX, EVENT_KIND, Event},
    },
};
use serde_json::value::RawValue;
use std::sync::Arc;

/// Submits an event.
///
/// Every endpoint that is enabled and wants its type gets it, as `{"type", "timestamp", "data"}`, signed as Standard Webhooks
/// says; each delivery is a job of its own. The answer is the event's job, and comes after its commit. With an
/// `Idempotency-Key`, the same request under the same key answers the same event again.
#[utoipa::path(
    post,
    path = "/v1/events",
    tag = "webhooks",
    operation_id = "submitEvent",
    params(("Idempotency-Key" = Option<String>, Header, max_length = 255, description = "Makes repeating safe, for 24 hours.")),
    request_body(content = EventWish, description = "What happened."),
    responses(
        (
            status = CREATED, description = "It is committed.", body = JobView,
            headers(
                ("Location" = String, description = "The path of its job."),
                ("Idempotency-Replayed" = Option<String>, description = "`true` when it was accepted before."),
            ),
        ),
        (status = "4XX", description = "Nothing was accepted.", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "Try again, with a key.", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn submit(State(app): State<Arc<App>>, request: Request) -> Result<Response, Problem> {
    Query::none(request.uri().query())?;
    let key = headers::idempotency_key(request.headers())?;
    let body = app.json_body(request).await?;
    let row = {
        let fields = Fields::parse(&body, app.rules.depth_max)?;
        let event = wish(&fields, app.now(), EVENT_BYTES_MAX.min(app.rules.payload_bytes_max))?;
        let payload = serde_json::to_vec(&event).map_err(Problem::internal)?;
        let draft = draft_of(EVENT_KIND, None, Some(event.r#type.as_str()), payload)?;
        let idempotency = match key {
            Some(key) => Some(app.rules.idempotency(key, &fields.canonical("/v1/events")?)),
            None => None,
        };
        Row { draft, idempotency }
    };
    jobs::accept(&app, row).await
}

fn wish<'a>(fields: &Fields<'a>, now: Timestamp, bytes_max: usize) -> Result<Event<'a>, Problem> {
    let mut reader = Reader::new("", now);
    let (mut event_type, mut data, mut timestamp) = (None, None, now);
    match fields {
        Fields::Other => reader.fail("", "must be an object"),
        Fields::Object(members) => {
            for (name, value) in members {
                match &**name {
                    "type" => event_type = reader.parse::<EventType>("/type", value),
                    "timestamp" if *value == "null" => {}
                    "timestamp" => timestamp = reader.time("/timestamp", value).unwrap_or(now),
                    "data" if value.len() > bytes_max => {
                        reader.fail("/data", format!("has {} bytes, at most {bytes_max} are allowed", value.len()));
                    }
                    "data" => data = serde_json::from_str::<&'a RawValue>(value).ok(),
                    unknown => reader.fail(&pointer_of(unknown), "is not a field of an event"),
                }
            }
            for required in ["type", "data"] {
                if !members.iter().any(|(name, _)| name == required) {
                    reader.fail(&format!("/{required}"), "is required");
                }
            }
        }
    }
    match (event_type, data) {
        (Some(r#type), Some(data)) if reader.errors.is_empty() => Ok(Event { r#type, timestamp, data }),
        _ => Err(reader.into_problem(ProblemType::InvalidRequest)),
    }
}
