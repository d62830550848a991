//! `POST /v1/jobs/{id}/rerun`: submit a finished job once more.

use crate::{
    app::App,
    commit::Row,
    draft::{Draft, Start},
    headers,
    problem::{Problem, ProblemBody, ProblemType},
    query::Query,
    routes::{JobPath, jobs::refuse_fields},
    view::JobView,
};
use axum::{
    extract::{Request, State},
    response::Response,
};
use haul_core::{Job, JobOptions};
use std::sync::Arc;

/// Runs a finished job again.
///
/// A new job, due at once, that names its `origin`; everything else is the origin's, except for its deadline.
#[utoipa::path(
    post,
    path = "/v1/jobs/{id}/rerun",
    tag = "jobs",
    operation_id = "rerunJob",
    params(
        ("id" = uuid::Uuid, Path, description = "The job's id."),
        ("Idempotency-Key" = Option<String>, Header, max_length = 255, description = "Makes repeating safe, for 24 hours."),
    ),
    responses(
        (status = CREATED, description = "The new job is committed.", body = JobView),
        (status = CONFLICT, description = "The job has not ended yet, or its payload was erased.", body = ProblemBody, content_type = "application/problem+json"),
        (status = "4XX", description = "Nothing was accepted.", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "Try again, with a key.", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn rerun(
    State(app): State<Arc<App>>,
    JobPath(id): JobPath,
    request: Request,
) -> Result<Response, Problem> {
    Query::none(request.uri().query())?;
    let key = headers::idempotency_key(request.headers())?;
    let body = app.optional_json_body(request).await?;
    refuse_fields(&body, app.rules.depth_max, "is not a field of a rerun")?;
    let record = app.job(id).await?;
    if record.outcome.is_none() {
        return Err(Problem::new(ProblemType::JobNotEnded, "the job has no outcome yet"));
    }
    if record.is_erased() {
        return Err(Problem::new(ProblemType::JobErased, "the payload of this job was erased"));
    }
    let request = format!("POST /v1/jobs/{id}/rerun");
    let idempotency = key.map(|key| app.rules.idempotency(key, request.as_bytes()));
    super::accept(&app, Row { draft: again(record.job), idempotency }).await
}

/// The draft of another run. A deadline is a point in time, most likely past: it stays behind. The trace is the request's,
/// or else the origin's.
fn again(job: Job) -> Draft {
    let options = JobOptions { origin: Some(job.id), deadline: None, ..(*job.options).clone() };
    let Job { queue, kind, priority, payload, .. } = job;
    Draft { queue, kind, priority, start: Start::Now, payload, options: Arc::new(options) }.traced()
}
