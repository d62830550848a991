//! `PATCH /v1/queues/{queue}`: change a queue's settings.

use super::pause::change;
use crate::{
    app::App,
    fields::{Fields, pointer_of},
    openapi::QueueChange as Body,
    problem::{FieldError, Problem, ProblemBody, ProblemType},
    query::Query,
    routes::QueuePath,
    view::QueueView,
};
use axum::{
    extract::{Request, State},
    response::Response,
};
use haul_core::{QueueChange, QueueRef, limits::SLOTS_MAX};
use std::sync::Arc;

/// Changes a queue's settings.
///
/// What is not given stays as it is. With more slots a queue is spread over more of the dispatch's servers; the order of
/// its jobs is then kept within each slot only.
#[utoipa::path(
    patch,
    path = "/v1/queues/{queue}",
    tag = "queues",
    operation_id = "configureQueue",
    params(("queue" = String, Path, description = "The queue's name.")),
    request_body(content = Body, description = "What to change."),
    responses(
        (status = OK, description = "The queue, with its settings.", body = QueueView),
        (status = "4XX", description = "Nothing was changed.", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "Try again.", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn configure(
    State(app): State<Arc<App>>,
    QueuePath(queue): QueuePath,
    request: Request,
) -> Result<Response, Problem> {
    Query::none(request.uri().query())?;
    let body = app.json_body(request).await?;
    let wish = read(&body, app.rules.depth_max)?;
    change(&app, QueueRef { tenant: app.tenant.clone(), queue }, wish).await
}

/// Judges the body: everything that is wrong is told at once.
fn read(body: &[u8], depth_max: usize) -> Result<QueueChange, Problem> {
    let refuse = |errors| Err(Problem::with_errors(ProblemType::InvalidRequest, errors));
    let Fields::Object(members) = Fields::parse(body, depth_max)? else {
        return refuse(vec![FieldError::new("", "must be an object")]);
    };
    let mut errors = Vec::new();
    let mut wish = QueueChange::default();
    for (name, value) in &members {
        let result = match (&**name, *value) {
            ("slots" | "paused", "null") => Ok(()),
            ("slots", value) => slots(value).map(|slots| wish.slots = Some(slots)),
            ("paused", "true" | "false") => {
                wish.paused = Some(*value == "true");
                Ok(())
            }
            ("paused", _) => Err("must be true or false".to_owned()),
            _ => Err("is not a setting of a queue".to_owned()),
        };
        if let Err(detail) = result {
            errors.push(FieldError::new(pointer_of(name), detail));
        }
    }
    if errors.is_empty() && wish.is_empty() {
        errors.push(FieldError::new("", "needs at least one of paused and slots"));
    }
    if errors.is_empty() { Ok(wish) } else { refuse(errors) }
}

fn slots(value: &str) -> Result<u16, String> {
    let slots = value.parse().ok().filter(|slots| (1..=SLOTS_MAX).contains(slots));
    slots.ok_or_else(|| format!("must be a whole number from 1 to {SLOTS_MAX}"))
}
