//! `/v1/jobs`.

pub(crate) mod batch;
pub(crate) mod bulk;
pub(crate) mod cancel;
pub(crate) mod cancel_many;
pub(crate) mod get;
pub(crate) mod list;
pub(crate) mod rerun;
pub(crate) mod submit;

use crate::{
    app::App,
    commit::Row,
    fields::{Fields, pointer_of},
    headers,
    intake::Admitted,
    problem::{FieldError, Problem, ProblemType},
    routes::{json, payments::resume},
    view::JobView,
};
use axum::response::Response;
use haul_core::{Job, JobId};
use http::{HeaderValue, StatusCode, header};

/// Commits one job and answers 201 with it; with the job that was accepted before when the request is a replay.
pub(crate) async fn accept(app: &App, row: Row) -> Result<Response, Problem> {
    let draft = row.draft.clone();
    let Admitted { id, replayed } =
        if resume::is_payments(&row) { resume::submit(app, row).await? } else { app.intake.submit(row).await? };
    if !replayed {
        return created(&draft.into_job(id, app.tenant.clone()), false);
    }
    match app.ledger.job(&app.tenant, id).await? {
        Some(record) => created(&record.job, true),
        None => {
            Err(Problem::new(ProblemType::JobNotFound, "the job that was accepted under this key is kept no longer"))
        }
    }
}

/// Refuses settings where there are none: an empty body will do, or an empty object.
pub(crate) fn refuse_fields(body: &[u8], depth_max: usize, detail: &'static str) -> Result<(), Problem> {
    if body.is_empty() {
        return Ok(());
    }
    let errors: Vec<_> = match Fields::parse(body, depth_max)? {
        Fields::Other => vec![FieldError::new("", "must be an object, or nothing")],
        Fields::Object(members) => members.iter().map(|(name, _)| FieldError::new(pointer_of(name), detail)).collect(),
    };
    if errors.is_empty() { Ok(()) } else { Err(Problem::with_errors(ProblemType::InvalidRequest, errors)) }
}

fn created(job: &Job, replayed: bool) -> Result<Response, Problem> {
    let mut response = json(StatusCode::CREATED, &JobView::accepted(job))?;
    let headers = response.headers_mut();
    headers.insert(header::LOCATION, location(job.id)?);
    if replayed {
        headers.insert(headers::IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}

fn location(id: JobId) -> Result<HeaderValue, Problem> {
    HeaderValue::try_from(format!("/v1/jobs/{id}")).map_err(Problem::internal)
}
