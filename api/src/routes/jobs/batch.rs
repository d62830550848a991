//! `POST /v1/jobs/batch`: submit many jobs, each with its own answer.

use crate::{
    app::{App, RequestId},
    commit::Rejection,
    fields::{Fields, pointer_of},
    headers,
    intake::Verdict,
    items::{self, Items},
    json::Scanner,
    openapi::BatchSubmit,
    problem::{FieldError, Problem, ProblemBody, ProblemType},
    query::Query,
    routes::json,
    submit::Place,
    view::BatchView,
};
use axum::{
    extract::{Request, State},
    response::Response,
};
use http::StatusCode;
use std::sync::Arc;

/// Submits many jobs.
///
/// Each is accepted or rejected on its own; the items of the answer are in the order of the jobs. Not one transaction:
/// use `idempotency_key` per item to repeat a batch safely.
#[utoipa::path(
    post,
    path = "/v1/jobs/batch",
    tag = "jobs",
    operation_id = "submitBatch",
    request_body(content = BatchSubmit, description = "The jobs."),
    responses(
        (status = CREATED, description = "One item per job, in order, also where some were rejected.", body = BatchView),
        (status = "4XX", description = "Nothing was accepted.", body = ProblemBody, content_type = "application/problem+json"),
        (
            status = "5XX", description = "Not one job is known to be accepted.", body = ProblemBody,
            content_type = "application/problem+json",
        ),
    ),
)]
pub(crate) async fn batch(State(app): State<Arc<App>>, request: Request) -> Result<Response, Problem> {
    Query::none(request.uri().query())?;
    headers::no_idempotency_key(request.headers())?;
    let request_id = RequestId::of(&request);
    let body = app.json_body(request).await?;
    let (rows, slots) = read(&app, &body)?.into_parts();
    let verdicts = app.intake.submit_batch(rows).await?;
    // A client reads the status first: when nothing got through and that is on us, the status says so.
    let is_ours = |verdict: &Verdict| verdict.as_ref().is_err_and(Rejection::is_unavailability);
    if let Some(Err(first)) = verdicts.first()
        && verdicts.iter().all(is_ours)
    {
        return Err(first.clone().into_problem());
    }
    let answers: Vec<_> = slots.resolve(verdicts).collect();
    let data = answers.iter().map(|answer| items::view(answer, request_id.as_str())).collect();
    json(StatusCode::CREATED, &BatchView { data })
}

fn read(app: &App, body: &[u8]) -> Result<Items, Problem> {
    // The batch itself takes two levels: a job may be nested as deep here as it may alone.
    let mut scanner = Scanner::new(body, app.rules.depth_max + 2)?;
    let mut errors = Vec::new();
    let mut jobs = None;
    if scanner.peek() == Some(b'{') {
        scanner.members(|scanner, name| {
            if name != "jobs" {
                errors.push(FieldError::new(pointer_of(&name), "is not a field of a batch"));
                return scanner.value().map(drop);
            }
            let mut elements = Vec::new();
            if scanner.peek() == Some(b'[') {
                scanner.elements(|scanner| {
                    elements.push(Fields::scan(scanner)?);
                    Ok(())
                })?;
                match elements.len() {
                    0 => errors.push(FieldError::new("/jobs", "must hold at least one job")),
                    count if count > app.limits.batch_jobs_max => {
                        let detail = format!("has {count} jobs, at most {} are allowed", app.limits.batch_jobs_max);
                        errors.push(FieldError::new("/jobs", detail));
                    }
                    _ => {}
                }
            } else {
                errors.push(FieldError::new("/jobs", "must be an array"));
                scanner.value()?;
            }
            jobs = Some(elements);
            Ok(())
        })?;
        if jobs.is_none() {
            errors.push(FieldError::new("/jobs", "is required"));
        }
    } else {
        scanner.value()?;
        errors.push(FieldError::new("", "must be an object"));
    }
    scanner.finish()?;
    if !errors.is_empty() {
        return Err(Problem::with_errors(ProblemType::InvalidRequest, errors));
    }
    let mut items = Items::default();
    let now = app.now();
    for (n, fields) in jobs.unwrap_or_default().into_iter().enumerate() {
        let pointer = format!("/jobs/{n}");
        items.push(Ok(fields), Place { pointer: &pointer, takes_key: true }, &app.rules, now);
    }
    Ok(items)
}
