//! `POST /v1/jobs/{id}/cancel`: give a job the outcome `cancelled`.

use crate::{
    app::App,
    problem::{Problem, ProblemBody, ProblemType},
    query::Query,
    routes::{JobPath, json},
    view::JobView,
};
use axum::{
    extract::{RawQuery, State},
    response::Response,
};
use haul_core::ledger::Cancelled;
use http::StatusCode;
use std::sync::Arc;

/// Cancels a job.
///
/// The outcome is committed before the answer: no further attempt starts. A running handler is told within a second.
#[utoipa::path(
    post,
    path = "/v1/jobs/{id}/cancel",
    tag = "jobs",
    operation_id = "cancelJob",
    params(("id" = uuid::Uuid, Path, description = "The job's id.")),
    responses(
        (status = OK, description = "The job, now cancelled.", body = JobView),
        (status = CONFLICT, description = "The job has ended, and its outcome stays; or it moves money already, and goes on.", body = ProblemBody, content_type = "application/problem+json"),
        (status = "4XX", description = "There is no such job.", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "Try again.", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn cancel(
    State(app): State<Arc<App>>,
    JobPath(id): JobPath,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    Query::none(query.as_deref())?;
    let answers = app.ledger.cancel(&app.tenant, &[id], app.now()).await?;
    match answers.first() {
        Some(Cancelled::Now) => {}
        Some(Cancelled::Already(state)) => {
            return Err(Problem::new(ProblemType::JobEnded, format!("the job has ended: {}", state.as_str())));
        }
        Some(Cancelled::TooLate) => {
            return Err(Problem::new(ProblemType::PaymentUnderWay, "the job has begun to move money at the provider"));
        }
        Some(Cancelled::Unknown) | None => return Err(Problem::new(ProblemType::JobNotFound, "no job has this id")),
    }
    let record = app.job(id).await?;
    app.removals.remove(record.job.queue_ref(), record.job.kind.clone(), id);
    json(StatusCode::OK, &JobView::current(&record, false, app.now()))
}
