//! `POST /v1/jobs`: submit one job.

use crate::{
    app::App,
    commit::Row,
    fields::Fields,
    headers,
    openapi::Submit,
    problem::{Problem, ProblemBody},
    query::Query,
    submit::{self, Place},
    view::JobView,
};
use axum::{
    extract::{Request, State},
    response::Response,
};
use std::sync::Arc;

/// Submits a job.
///
/// The answer comes after the commit: a 201 means that the job is durable. With an `Idempotency-Key`, the same request
/// under the same key answers the same job again instead of submitting another.
#[utoipa::path(
    post,
    path = "/v1/jobs",
    tag = "jobs",
    operation_id = "submitJob",
    params(("Idempotency-Key" = Option<String>, Header, max_length = 255, description = "Makes repeating safe, for 24 hours.")),
    request_body(content = Submit, description = "The job."),
    responses(
        (
            status = CREATED, description = "It is committed.", body = JobView,
            headers(
                ("Location" = String, description = "Its path."),
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
        let draft = submit::read(&fields, Place { pointer: "", takes_key: false }, &app.rules, app.now())?.draft;
        let idempotency = match key {
            Some(key) => Some(app.rules.idempotency(key, &fields.canonical("/v1/jobs")?)),
            None => None,
        };
        Row { draft, idempotency }
    };
    super::accept(&app, row).await
}
