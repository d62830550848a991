//! The span of a request.
//!
//! It ends with the answer's head; where the request is cut off before, it ends then, as one that was not answered: what it
//! has caused is below it.

use crate::headers;
use axum::extract::{MatchedPath, Request};
use haul_core::trace::{Described, OpenSpan, SpanKind, TraceContext, http_method, http_verb};
use http::{Method, StatusCode};

/// A request that may be in a trace. Without one, nothing.
#[derive(Default)]
pub(crate) struct Traced(Option<Served>);

struct Served {
    span: OpenSpan,
    method: Method,
    route: Option<MatchedPath>,
    status: Option<StatusCode>,
}

impl Traced {
    /// Begins the span of a request that may pass, and names its trace in the log. Probes and scrapers have none.
    pub(crate) fn begin(request: &Request, route: Option<&MatchedPath>) -> Self {
        if !request.uri().path().starts_with("/v1") {
            return Self(None);
        }
        let Some(span) = OpenSpan::begin(headers::trace(request.headers()), SpanKind::Server) else {
            return Self(None);
        };
        let log_span = tracing::Span::current();
        if !log_span.is_disabled() {
            log_span.record("trace_id", span.context().trace_id());
        }
        Self(Some(Served { span, method: request.method().clone(), route: route.cloned(), status: None }))
    }

    /// Its place: what comes of the request is below it.
    pub(crate) fn place(&self) -> Option<TraceContext> {
        self.0.as_ref().map(|served| served.span.context())
    }

    /// The answer is known.
    pub(crate) fn answered(mut self, status: StatusCode) {
        if let Some(served) = &mut self.0 {
            served.status = Some(status);
        }
    }
}

impl Drop for Traced {
    fn drop(&mut self) {
        let Some(Served { span, method, route, status }) = self.0.take() else { return };
        span.end(|| {
            let method = http_method(method.as_str());
            let mut attributes = vec![("http.request.method", method.into())];
            let verb = http_verb(method);
            let mut name = verb.to_owned();
            if let Some(route) = route {
                name = format!("{verb} {}", route.as_str());
                attributes.push(("http.route", route.as_str().to_owned().into()));
            }
            let error = match status {
                None => Some("unanswered".into()),
                Some(status) => {
                    attributes.push(("http.response.status_code", status.as_u16().into()));
                    status.is_server_error().then(|| status.as_str().to_owned().into())
                }
            };
            Described { name, error, attributes }
        });
    }
}
