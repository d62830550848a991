//! `POST /v1/schedules/preview`: what a schedule would do, without one.

use crate::{
    app::App,
    fields::Fields,
    openapi::PreviewQuestion,
    problem::{Problem, ProblemBody},
    query::Query,
    routes::json,
    schedule::{
        read::{self, Question},
        view::PreviewView,
    },
};
use axum::{
    extract::{Request, State},
    response::Response,
};
use haul_schedule::TickName;
use http::StatusCode;
use std::sync::Arc;

/// Previews a schedule.
///
/// The next ticks of an expression in a zone, or of an interval: what clocks show, when that is, and what is made of the
/// days on which clocks are set. Nothing is kept.
#[utoipa::path(
    post,
    path = "/v1/schedules/preview",
    tag = "schedules",
    operation_id = "previewSchedule",
    request_body(content = PreviewQuestion, description = "When it fires, and how far to look."),
    responses(
        (status = OK, description = "Its next ticks.", body = PreviewView),
        (status = "4XX", description = "It is no schedule.", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "Try again.", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn preview(State(app): State<Arc<App>>, request: Request) -> Result<Response, Problem> {
    Query::none(request.uri().query())?;
    let body = app.json_body(request).await?;
    let question = {
        let fields = Fields::parse(&body, app.rules.depth_max)?;
        read::question(&fields, app.now())?
    };
    let Question { spec, schedule, from, count } = question;
    let count = spec.max_runs.map_or(count, |runs| count.min(usize::try_from(runs).unwrap_or(usize::MAX)));
    let foresight = schedule.foresee(&TickName::of_instant(from), count);
    json(StatusCode::OK, &PreviewView::of(&schedule, foresight))
}
