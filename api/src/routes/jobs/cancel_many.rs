//! `POST /v1/jobs/cancel`: cancel all jobs that match a filter, a bounded number per request.

use crate::{
    app::App,
    fields::{Fields, pointer_of},
    filter,
    openapi::CancelFilter,
    problem::{FieldError, Problem, ProblemBody, ProblemType},
    query::Query,
    routes::{jobs::list::read_cursor, json},
    view::CancelAnswer,
};
use axum::{
    extract::{Request, State},
    response::Response,
};
use haul_core::ledger::{Cancelled, Filter, StateFilter};
use http::StatusCode;
use std::{fmt::Display, str::FromStr, sync::Arc};

/// Jobs cancelled by one request, unless it asks for less.
const LIMIT_MAX: usize = 1_000;
/// Jobs cancelled by one statement.
const STATEMENT_JOBS: usize = 250;
/// Pages of the ledger read for one request.
const READS_MAX: usize = 20;

/// Cancels all jobs that match and have not ended.
///
/// At least one filter is needed. At most 1,000 jobs are cancelled by one request: `has_more` says whether more may
/// match, and the same request with `cursor` set to `next_cursor` goes on.
#[utoipa::path(
    post,
    path = "/v1/jobs/cancel",
    tag = "jobs",
    operation_id = "cancelJobs",
    request_body(content = CancelFilter, description = "Which jobs."),
    responses(
        (status = OK, description = "How many were cancelled, and whether more may match.", body = CancelAnswer),
        (status = "4XX", description = "Nothing was cancelled.", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "Some may have been cancelled; safe to repeat.", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn cancel_many(State(app): State<Arc<App>>, request: Request) -> Result<Response, Problem> {
    Query::none(request.uri().query())?;
    let body = app.json_body(request).await?;
    let Wish { filter, limit, cursor } = read(&body, app.rules.depth_max)?;
    let identity = filter::identity("POST /v1/jobs/cancel", app.tenant.as_str(), &filter, None);
    let mut before = read_cursor(&app, &identity, cursor.as_deref())?;
    let mut cancelled = 0;
    for _ in 0..READS_MAX {
        let page = app.ledger.list(&app.tenant, &filter, before, STATEMENT_JOBS.min(limit - cancelled)).await?;
        let ids: Vec<_> = page.jobs.iter().map(|record| record.id()).collect();
        if !ids.is_empty() {
            let answers = app.ledger.cancel(&app.tenant, &ids, app.now()).await?;
            for (record, answer) in page.jobs.iter().zip(answers) {
                if answer == Cancelled::Now {
                    cancelled += 1;
                    app.removals.remove(record.job.queue_ref(), record.job.kind.clone(), record.id());
                }
            }
        }
        before = page.next;
        if before.is_none() || cancelled >= limit {
            break;
        }
    }
    let next_cursor = before.map(|next| app.cursors.write(&identity, next.as_bytes()));
    json(StatusCode::OK, &CancelAnswer { cancelled: cancelled as u64, has_more: next_cursor.is_some(), next_cursor })
}

/// Which jobs, and how many.
struct Wish {
    filter: Filter,
    limit: usize,
    cursor: Option<String>,
}

fn read(body: &[u8], depth_max: usize) -> Result<Wish, Problem> {
    let Fields::Object(members) = Fields::parse(body, depth_max)? else {
        let errors = vec![FieldError::new("", "must be an object")];
        return Err(Problem::with_errors(ProblemType::InvalidRequest, errors));
    };
    let mut errors = Vec::new();
    let mut wish = Wish {
        filter: Filter { state: Some(StateFilter::Unsettled), ..Filter::default() },
        limit: LIMIT_MAX,
        cursor: None,
    };
    for (name, value) in &members {
        let filter = &mut wish.filter;
        let result = match &**name {
            "queue" => parse(value).map(|queue| filter.queue = Some(queue)),
            "kind" => parse(value).map(|kind| filter.kind = Some(kind)),
            "tag" => text(value).and_then(|text| Ok(filter::tag(&text)?)).map(|tag| filter.tag = Some(tag)),
            "created_from" => parse(value).map(|time| filter.created_from = Some(time)),
            "created_before" => parse(value).map(|time| filter.created_before = Some(time)),
            "cursor" => text(value).map(|cursor| wish.cursor = Some(cursor)),
            "limit" => limit(value).map(|limit| wish.limit = limit),
            _ => Err("is not a field of this request".to_owned()),
        };
        if let Err(detail) = result {
            errors.push(FieldError::new(pointer_of(name), detail));
        }
    }
    if errors.is_empty() && wish.filter == (Filter { state: Some(StateFilter::Unsettled), ..Filter::default() }) {
        errors.push(FieldError::new("", "needs at least one of queue, kind, tag, created_from and created_before"));
    }
    if errors.is_empty() { Ok(wish) } else { Err(Problem::with_errors(ProblemType::InvalidRequest, errors)) }
}

fn limit(value: &str) -> Result<usize, String> {
    let limit = value.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit));
    limit.ok_or_else(|| format!("must be a whole number from 1 to {LIMIT_MAX}"))
}

fn text(value: &str) -> Result<String, String> {
    crate::json::as_string(value).map(Into::into).ok_or_else(|| "must be a string".to_owned())
}

fn parse<T: FromStr<Err: Display>>(value: &str) -> Result<T, String> {
    text(value)?.parse().map_err(|error: T::Err| error.to_string())
}
