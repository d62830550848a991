//! `GET /v1/jobs/{id}`: everything about one job, at once or when it has ended.

use crate::{
    app::App,
    problem::{Problem, ProblemBody},
    query::Query,
    routes::{JobPath, json},
    view::JobView,
};
use axum::{
    extract::{RawQuery, State},
    response::Response,
};
use haul_core::Span;
use http::StatusCode;
use std::{sync::Arc, time::Duration};

/// Shows a job.
///
/// With `wait`, the answer comes as soon as the job has an outcome, or with the job as it is when that time has passed.
#[utoipa::path(
    get,
    path = "/v1/jobs/{id}",
    tag = "jobs",
    operation_id = "getJob",
    params(
        ("id" = uuid::Uuid, Path, description = "The job's id."),
        ("wait" = Option<String>, Query, description = "Wait for the outcome so long at most, such as `10s`; up to `60s`."),
    ),
    responses(
        (status = OK, description = "The job.", body = JobView),
        (status = "4XX", description = "There is no such job, or the request is wrong.", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "Try again.", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn get(
    State(app): State<Arc<App>>,
    JobPath(id): JobPath,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let wait = wait(&app, query.as_deref())?;
    let mut record = app.job(id).await?;
    if record.outcome.is_none() && !wait.is_zero() {
        app.watch.wait(id, wait).await?;
        record = app.job(id).await?;
    }
    let records = [record];
    let leased = app.leased(&records).await.contains(&id);
    let [record] = &records;
    json(StatusCode::OK, &JobView::current(record, leased, app.now()))
}

fn wait(app: &App, query: Option<&str>) -> Result<Duration, Problem> {
    let mut query = Query::new(query);
    let wait = query.parse::<Span>("wait").unwrap_or_default().as_duration();
    if wait > app.limits.wait_max {
        query.fail("wait", format!("must be {:?} at most", app.limits.wait_max));
    }
    query.finish()?;
    Ok(wait)
}
