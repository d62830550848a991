//! `GET /v1/endpoints/{id}/deliveries`: what was sent to an endpoint, and what it answered.

use super::find;
use crate::{
    app::App,
    problem::{Problem, ProblemBody},
    query::Query,
    routes::{EndpointPath, json},
    view::StateName,
};
use axum::{
    extract::{RawQuery, State},
    response::Response,
};
use haul_core::{
    JobId, JobState, Kind, Timestamp,
    endpoints::jobs::{DELIVER_KIND, Delivery, DeliveryAttempt, ENDPOINT_TAG, EVENT_TYPE_TAG},
    ledger::Filter,
    outcome::JobRecord,
};
use http::StatusCode;
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;
use uuid::Uuid;

const LIMIT_DEFAULT: usize = 50;
const LIMIT_MAX: usize = 100;

/// A page of deliveries.
#[derive(Serialize, ToSchema)]
pub(crate) struct DeliveryPage {
    /// Newest first.
    data: Vec<DeliveryView>,
    /// Whether more follow, also when there are none here.
    has_more: bool,
    /// Where they follow.
    next_cursor: Option<String>,
}

/// A delivery: an event on its way to one endpoint.
#[derive(Serialize, ToSchema)]
struct DeliveryView {
    /// Its job: `GET /v1/jobs/{id}` shows every attempt, `POST /v1/jobs/{id}/rerun` makes it again.
    id: Uuid,
    /// The event's job; the receiver knows it as `webhook-id`: `msg_` and the same digits.
    event: Option<Uuid>,
    /// What happened.
    r#type: Option<String>,
    /// Where it stands.
    #[schema(value_type = StateName)]
    state: JobState,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// Attempts that were made.
    attempts: u32,
    /// What the last one met.
    last: Option<AttemptView>,
}

/// One attempt of a delivery.
#[derive(Serialize, ToSchema)]
struct AttemptView {
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// The HTTP status; null when there was no answer.
    status: Option<u16>,
    /// How long the answer took.
    latency_ms: Option<u64>,
    /// The beginning of the answer.
    answer: Option<String>,
    /// Why it failed, if it did.
    error: Option<String>,
}

/// Lists an endpoint's deliveries, newest first.
///
/// A page may hold fewer than asked for, even none, although more follow: `has_more` and `next_cursor` tell.
#[utoipa::path(
    get,
    path = "/v1/endpoints/{id}/deliveries",
    tag = "webhooks",
    operation_id = "listDeliveries",
    params(
        ("id" = uuid::Uuid, Path, description = "The endpoint's id."),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 100, description = "Deliveries in a page; 50 unless told otherwise."),
        ("cursor" = Option<String>, Query, description = "The `next_cursor` of the page before."),
    ),
    responses(
        (status = OK, description = "A page.", body = DeliveryPage),
        (status = "4XX", description = "There is no such endpoint, or the query is wrong.", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "Try again.", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn deliveries(
    State(app): State<Arc<App>>,
    EndpointPath(id): EndpointPath,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let mut query = Query::new(query.as_deref());
    let limit = query.number("limit", LIMIT_DEFAULT, 1, LIMIT_MAX);
    let cursor = query.text("cursor");
    query.finish()?;
    let identity = format!("GET /v1/endpoints/{id}/deliveries {}", app.tenant);
    let before = match cursor {
        Some(cursor) => {
            let position = app.cursors.read(&identity, &cursor)?;
            Some(JobId(Uuid::from_slice(&position).map_err(Problem::internal)?))
        }
        None => None,
    };
    let endpoint = find(&app, id).await?;
    let filter = Filter {
        kind: Some(Kind::new(DELIVER_KIND).map_err(Problem::internal)?),
        tag: Some((ENDPOINT_TAG.to_owned(), endpoint.id.to_string())),
        ..Filter::default()
    };
    let page = app.ledger.list(&app.tenant, &filter, before, limit).await?;
    let leased = app.leased(&page.jobs).await;
    let now = app.now();
    let data = page.jobs.iter().map(|record| view(record, leased.contains(&record.id()), now)).collect();
    let next_cursor = page.next.map(|next| app.cursors.write(&identity, next.as_bytes()));
    json(StatusCode::OK, &DeliveryPage { data, has_more: next_cursor.is_some(), next_cursor })
}

fn view(record: &JobRecord, is_leased: bool, now: Timestamp) -> DeliveryView {
    let final_state = record.outcome.as_ref().map(|outcome| outcome.state);
    let state = JobState::derive(final_state, is_leased, record.failure_count, record.job.run_at, now);
    let delivery: Option<Delivery> = serde_json::from_slice(&record.job.payload).ok();
    let ended = record.outcome.as_ref().map(|outcome| {
        let met = match (&outcome.result, &outcome.error) {
            (Some(result), _) => serde_json::from_slice(result).ok(),
            (None, Some(error)) => error.detail.as_deref().and_then(attempt),
            (None, None) => None,
        };
        shown(outcome.finished_at, met, outcome.error.as_ref().map(|error| error.message.clone()))
    });
    let failed = record.failures.last().map(|failure| {
        let met = failure.error.detail.as_deref().and_then(attempt);
        shown(failure.at, met, Some(failure.error.message.clone()))
    });
    DeliveryView {
        id: record.job.id.0,
        event: delivery.map(|delivery| delivery.event.0),
        r#type: record.job.options.tags.get(EVENT_TYPE_TAG).cloned(),
        state,
        created_at: record.job.created_at(),
        attempts: record.outcome.as_ref().map_or(record.failure_count, |outcome| outcome.attempt),
        last: ended.or(failed),
    }
}

fn attempt(detail: &str) -> Option<DeliveryAttempt> {
    serde_json::from_str(detail).ok()
}

fn shown(at: Timestamp, met: Option<DeliveryAttempt>, error: Option<String>) -> AttemptView {
    AttemptView {
        at,
        status: met.as_ref().and_then(|met| met.status),
        latency_ms: met.as_ref().map(|met| met.latency_ms),
        answer: met.map(|met| met.answer).filter(|answer| !answer.is_empty()),
        error,
    }
}
