//! The gate: what every request passes, once, on its way in and out.
//!
//! In: a request id, the trace, who may use `/v1`, no compressed bodies, a time limit. Out: problems are written down and 5xx are
//! logged, panics become problems, the request is counted. So handlers only say what went wrong.
//!
//! Every 500 is logged. Of the 503s, of which an outage makes thousands a second, one a second is, with the number of
//! those that were not; these are at `debug`, as is a line for every request.

use crate::{
    app::{App, RequestId},
    headers,
    problem::{Problem, ProblemType},
    routes::payments,
    traced::Traced,
};
use axum::{
    body::HttpBody,
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures::FutureExt;
use haul_core::trace;
use http::{HeaderValue, StatusCode, header};
use parking_lot::Mutex;
use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};
use tokio::time::{Instant, timeout};
use tracing::{Instrument, field};

/// Lets a request through, or not, and completes its answer.
pub(crate) async fn gate(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    let id = RequestId(headers::request_id(request.headers()));
    request.extensions_mut().insert(id.clone());
    // Of the highest level, so that the lines within name the request at whichever level they are let through. Not as a string, which
    // a filter that follows one request would have to quote.
    let span = tracing::error_span!("request", request_id = %id.as_str(), trace_id = field::Empty);
    pass(app, id, request, next).instrument(span).await
}

async fn pass(app: Arc<App>, id: RequestId, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().cloned();
    let (method, began) = (request.method().clone(), Instant::now());
    let waits = request.uri().query().is_some_and(|query| query.split('&').any(|part| part.starts_with("wait=")));
    let has_body = !request.body().is_end_stream();
    let mut traced = Traced::default();
    let response = match admit(&app, &request) {
        Ok(()) => {
            traced = Traced::begin(&request, route.as_ref());
            trace::within(traced.place(), run(&app, request, next)).await
        }
        Err(problem) => problem.into_response(),
    };
    let mut response = write_problem(&app, response, &id, route.as_ref(), has_body);
    traced.answered(response.status());
    response.headers_mut().insert(headers::REQUEST_ID, id.0);
    let (route_name, status) = (route.as_ref().map(MatchedPath::as_str), response.status().as_u16());
    tracing::debug!(%method, route = route_name, status, took = ?began.elapsed(), "a request was answered");
    let took = (!waits).then(|| began.elapsed());
    app.requests.count(route.as_ref().map(MatchedPath::as_str), &method, response.status(), took);
    response
}

/// Lets one complaint a second through.
#[derive(Default)]
pub(crate) struct Complaints {
    state: Mutex<(Option<Instant>, u64)>,
}

impl Complaints {
    /// How many were withheld since the last one; `None` when this one is to be withheld, too.
    fn next(&self) -> Option<u64> {
        let mut state = self.state.lock();
        let (last, withheld) = &mut *state;
        if last.is_some_and(|last| last.elapsed() < Duration::from_secs(1)) {
            *withheld += 1;
            return None;
        }
        *last = Some(Instant::now());
        Some(std::mem::take(withheld))
    }
}

fn admit(app: &App, request: &Request) -> Result<(), Problem> {
    // What the payment provider sends is admitted by its signature.
    let path = request.uri().path();
    if (path.starts_with("/v1") && path != payments::webhook::PATH) || path == "/log" {
        app.access.admit(request.uri(), request.headers())?;
    }
    headers::identity_encoding(request.headers())
}

async fn run(app: &App, request: Request, next: Next) -> Response {
    let waits = request.uri().query().is_some_and(|query| query.contains("wait="));
    let time_max = app.limits.request_timeout + if waits { app.limits.wait_max } else { Default::default() };
    let answer = AssertUnwindSafe(next.run(request)).catch_unwind();
    match timeout(time_max, answer).await {
        Ok(Ok(response)) => response,
        Ok(Err(panic)) => {
            let message = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let message = message.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
            Problem::internal(format!("a handler panicked: {message}")).into_response()
        }
        Err(_elapsed) => Problem::new(ProblemType::Timeout, "the request was not done in time").into_response(),
    }
}

/// Writes down the problem that a response carries, if it carries one.
fn write_problem(
    app: &App,
    mut response: Response,
    id: &RequestId,
    route: Option<&MatchedPath>,
    has_body: bool,
) -> Response {
    let Some(problem) = response.extensions_mut().remove::<Arc<Problem>>() else { return response };
    let status = problem.status();
    let cause = problem.cause();
    let (request_id, route) = (id.as_str(), route.map(MatchedPath::as_str));
    if status == StatusCode::INTERNAL_SERVER_ERROR {
        tracing::error!(route, cause, "a request failed");
    } else if status.is_server_error() {
        let problem = problem.kind.spec().slug;
        match app.complaints.next() {
            Some(withheld) => tracing::warn!(route, cause, problem, withheld, "a request could not be served"),
            None => tracing::debug!(route, cause, problem, "a request could not be served"),
        }
    }
    let mut written = problem.render(request_id);
    if has_body && matches!(problem.kind, ProblemType::BodyTooLarge | ProblemType::RequestTimeout) {
        // The rest of the body is not read: the connection cannot be used again.
        written.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_complaint_a_second_is_let_through_and_the_others_are_counted() {
        let complaints = Complaints::default();
        assert_eq!([complaints.next(), complaints.next(), complaints.next()], [Some(0), None, None]);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!([complaints.next(), complaints.next()], [Some(2), None]);
    }
}
