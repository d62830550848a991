//! `POST /v1/schedules/{name}/run`: a job of a schedule, now.

use super::find;
use crate::{
    app::App,
    commit::Row,
    draft::{Draft, Start},
    headers,
    problem::{Problem, ProblemBody},
    query::Query,
    routes::{SchedulePath, jobs, jobs::refuse_fields},
    view::JobView,
};
use axum::{
    extract::{Request, State},
    response::Response,
};
use haul_core::{
    JobTemplate, ScheduleName,
    template::{SCHEDULE_TAG, TICK_TAG},
};
use std::sync::Arc;

/// What stands in place of a tick's name.
const MANUAL: &str = "manual";

/// Runs a schedule's job now.
///
/// An ordinary job as the schedule describes it, due at once, whose tag `haul.tick` is `manual`. The schedule is left alone:
/// it fires its next tick as if nothing had happened, and does not count this run. It may be paused.
#[utoipa::path(
    post,
    path = "/v1/schedules/{name}/run",
    tag = "schedules",
    operation_id = "runSchedule",
    params(
        ("name" = String, Path, description = "The schedule's name."),
        ("Idempotency-Key" = Option<String>, Header, max_length = 255, description = "Makes repeating safe, for 24 hours."),
    ),
    responses(
        (
            status = CREATED, description = "The job is committed.", body = JobView,
            headers(
                ("Location" = String, description = "The job's path."),
                ("Idempotency-Replayed" = Option<String>, description = "`true` when it was accepted before."),
            ),
        ),
        (status = "4XX", description = "Nothing was accepted.", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "Try again, with a key.", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn run(
    State(app): State<Arc<App>>,
    SchedulePath(name): SchedulePath,
    request: Request,
) -> Result<Response, Problem> {
    Query::none(request.uri().query())?;
    let key = headers::idempotency_key(request.headers())?;
    let body = app.optional_json_body(request).await?;
    refuse_fields(&body, app.rules.depth_max, "is not a field of a run")?;
    let schedule = find(&app, name.clone()).await?;
    let template = JobTemplate::decode(&schedule.definition.template).map_err(Problem::internal)?;
    let request = format!("POST /v1/schedules/{name}/run");
    let idempotency = key.map(|key| app.rules.idempotency(key, request.as_bytes()));
    jobs::accept(&app, Row { draft: by_hand(template, &name), idempotency }).await
}

fn by_hand(template: JobTemplate, name: &ScheduleName) -> Draft {
    let JobTemplate { kind, queue, priority, payload, mut options } = template;
    options.tags.insert(SCHEDULE_TAG.to_owned(), name.to_string());
    options.tags.insert(TICK_TAG.to_owned(), MANUAL.to_owned());
    Draft { queue, kind, priority, start: Start::Now, payload, options: Arc::new(options) }.traced()
}
