//! The trace that a request goes out with, and its span.
//!
//! A request that is made for a traced job carries a `traceparent` of its own; one that brings a `traceparent` keeps it.
//! The span ends with the head of the answer, or when the request is given up: then it has failed.

use crate::target::Destination;
use haul_core::trace::{self, Described, OpenSpan, SpanKind, TRACEPARENT, http_method, http_verb};
use http::{HeaderValue, Method, StatusCode};

/// A request under way. Without a trace, nothing.
pub(crate) struct Traced(Option<Call>);

struct Call {
    span: OpenSpan,
    method: Method,
    to: Destination,
    status: Option<StatusCode>,
}

impl Traced {
    /// Writes the trace of this task into the request.
    pub(crate) fn begin(request: &mut reqwest::Request, to: &Destination) -> Self {
        let Some(trace) = trace::current() else { return Self(None) };
        let span = OpenSpan::of(trace, SpanKind::Client);
        if !request.headers().contains_key(TRACEPARENT)
            && let Ok(value) = HeaderValue::try_from(span.context().to_string())
        {
            request.headers_mut().insert(TRACEPARENT, value);
        }
        Self(Some(Call { span, method: request.method().clone(), to: to.clone(), status: None }))
    }

    /// The head of the answer has come.
    pub(crate) fn answered(&mut self, status: StatusCode) {
        if let Some(call) = &mut self.0 {
            call.status = Some(status);
        }
    }
}

impl Drop for Traced {
    fn drop(&mut self) {
        let Some(Call { span, method, to, status }) = self.0.take() else { return };
        span.end(|| {
            let method = http_method(method.as_str());
            let mut attributes = vec![
                ("http.request.method", method.into()),
                ("server.address", to.host().to_owned().into()),
                ("server.port", to.port().into()),
            ];
            attributes.extend(status.map(|status| ("http.response.status_code", status.as_u16().into())));
            let error = match status {
                None => Some("unanswered".into()),
                Some(status) if status.as_u16() >= 400 => Some(status.as_str().to_owned().into()),
                Some(_) => None,
            };
            Described { name: http_verb(method).to_owned(), error, attributes }
        });
    }
}
