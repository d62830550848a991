//! `GET /v1/queues/{queue}/statistics`: what was accepted in each hour, and what came of it.

use crate::{
    app::App,
    problem::{Problem, ProblemBody},
    query::Query,
    routes::{QueuePath, json},
};
use axum::{
    extract::{RawQuery, State},
    response::Response,
};
use haul_core::{
    QueueRef, Timestamp,
    statistics::{Figures, HOURS_MAX, Hour},
};
use http::StatusCode;
use serde::Serialize;
use std::{sync::Arc, time::Duration};
use utoipa::ToSchema;

/// How far it looks back unless told otherwise.
const DAYS: Duration = Duration::from_secs(7 * 24 * 3_600);

/// Hours of a queue.
#[derive(Serialize, ToSchema)]
pub(crate) struct HourPage {
    /// The hours in their order; those without jobs are left out. Counted a few minutes after their end, and again a day and
    /// a week later.
    data: Vec<HourView>,
    /// Whether there are more in this time than one answer holds: ask again from the last one on.
    has_more: bool,
}

/// What was accepted in an hour, and what came of it, whenever that was.
#[derive(Serialize, ToSchema)]
struct HourView {
    /// When it begins.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// Jobs accepted.
    accepted: u64,
    succeeded: u64,
    dead: u64,
    cancelled: u64,
    /// Failed attempts after which there was to be another one.
    failures: u64,
    /// From being due to the end, on average, of those that succeeded or died.
    took_seconds_average: Option<f64>,
    /// The longest of these times.
    took_seconds_max: f64,
}

/// Shows a queue by the hour.
///
/// What maintenance has counted: of one kind, or of all together.
#[utoipa::path(
    get,
    path = "/v1/queues/{queue}/statistics",
    tag = "queues",
    operation_id = "getQueueStatistics",
    params(
        ("queue" = String, Path, description = "The queue's name."),
        ("kind" = Option<String>, Query, description = "Only of this kind."),
        ("from" = Option<String>, Query, description = "Hours that begin at or after this time (RFC 3339); a week ago unless told otherwise."),
        ("to" = Option<String>, Query, description = "Hours that begin before this time; now unless told otherwise."),
    ),
    responses(
        (status = OK, description = "The hours.", body = HourPage),
        (status = "4XX", description = "The query is wrong.", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "Try again.", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn statistics(
    State(app): State<Arc<App>>,
    QueuePath(queue): QueuePath,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let mut query = Query::new(query.as_deref());
    let kind = query.parse("kind");
    let to = query.parse("to").unwrap_or_else(|| app.now());
    let from = query.parse("from").unwrap_or_else(|| to.minus(DAYS));
    query.finish()?;
    let queue = QueueRef { tenant: app.tenant.clone(), queue };
    let hours = app.statistics.hours(&queue, kind.as_ref(), from, to).await?;
    let has_more = hours.len() >= HOURS_MAX;
    json(StatusCode::OK, &HourPage { data: hours.iter().map(view).collect(), has_more })
}

fn view(Hour { at, figures }: &Hour) -> HourView {
    let Figures { accepted, succeeded, dead, cancelled, failures, took_ms_sum, took_ms_max } = *figures;
    let ended = succeeded + dead;
    let seconds = |ms: u64| Duration::from_millis(ms).as_secs_f64();
    HourView {
        at: *at,
        accepted,
        succeeded,
        dead,
        cancelled,
        failures,
        took_seconds_average: (ended > 0).then(|| seconds(took_ms_sum / ended)),
        took_seconds_max: seconds(took_ms_max),
    }
}
