//! Spans: what is told of a step when it has ended, and to whom.

use super::TraceContext;
use crate::time;
use std::{borrow::Cow, sync::OnceLock};

/// Which side of a call a span is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpanKind {
    /// A request that was served.
    Server,
    /// A call to somebody else.
    Client,
    /// A job that was worked on.
    Consumer,
}

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A text.
    Text(Cow<'static, str>),
    /// A whole number.
    Number(i64),
}

impl From<&'static str> for Value {
    fn from(text: &'static str) -> Self {
        Self::Text(text.into())
    }
}
impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}
impl From<u16> for Value {
    fn from(number: u16) -> Self {
        Self::Number(number.into())
    }
}
impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Number(number.into())
    }
}

/// What a step was. No payloads, no header values, no URLs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// What was done; of few distinct values.
    pub name: String,
    /// In which way it failed, if it did; of few distinct values (`error.type` of OpenTelemetry's conventions).
    pub error: Option<Cow<'static, str>>,
    /// By the names of OpenTelemetry's conventions, or beginning with `haul.`.
    pub attributes: Vec<(&'static str, Value)>,
}

/// A span that has ended.
#[derive(Debug, Clone)]
pub struct Ended {
    /// Its own place.
    pub context: TraceContext,
    /// The id of the span that it belongs to.
    pub parent: Option<u64>,
    /// Which side of a call it is on.
    pub kind: SpanKind,
    /// Nanoseconds since 1970.
    pub began_ns: u64,
    /// Nanoseconds since 1970.
    pub ended_ns: u64,
    /// What it was.
    pub what: Described,
}

/// Takes the spans of this process.
pub trait Exporter: Send + Sync {
    /// Takes one. Never waits: what there is no room for is dropped and counted.
    fn take(&self, span: Ended);
}

struct Export {
    exporter: Box<dyn Exporter>,
    one_in: u64,
}

static EXPORT: OnceLock<Export> = OnceLock::new();

/// Says where spans go, once per process. Of the requests and attempts without a trace one in so many begins one; 0: none
/// does. Returns whether this was the first call; later ones change nothing.
pub fn export_to(exporter: Box<dyn Exporter>, one_in: u64) -> bool {
    EXPORT.set(Export { exporter, one_in }).is_ok()
}

/// A span that has begun.
#[derive(Debug)]
pub struct OpenSpan {
    context: TraceContext,
    parent: Option<u64>,
    kind: SpanKind,
    /// 0 when nobody exports it.
    began_ns: u64,
}

impl OpenSpan {
    /// The next span of a trace.
    pub fn of(trace: TraceContext, kind: SpanKind) -> Self {
        Self { parent: Some(trace.span_id), ..Self::new(trace.child(), kind) }
    }

    /// The next span of a trace; without one, the first of a new trace, if spans are exported and chance picks it.
    pub fn begin(trace: Option<TraceContext>, kind: SpanKind) -> Option<Self> {
        if let Some(trace) = trace {
            return Some(Self::of(trace, kind));
        }
        let export = EXPORT.get().filter(|export| export.one_in > 0)?;
        is_picked(export.one_in).then(|| Self::new(TraceContext::fresh(), kind))
    }

    fn new(context: TraceContext, kind: SpanKind) -> Self {
        let is_exported = context.is_sampled() && EXPORT.get().is_some();
        let began_ns = if is_exported { time::wall_ns() } else { 0 };
        Self { context, parent: None, kind, began_ns }
    }

    /// Its place: what comes next is its child.
    pub fn context(&self) -> TraceContext {
        self.context
    }

    /// Ends it. `describe` is called only if somebody wants to know.
    pub fn end(self, describe: impl FnOnce() -> Described) {
        if self.began_ns == 0 {
            return;
        }
        let Some(export) = EXPORT.get() else { return };
        export.exporter.take(Ended {
            context: self.context,
            parent: self.parent,
            kind: self.kind,
            began_ns: self.began_ns,
            ended_ns: time::wall_ns(),
            what: describe(),
        });
    }
}

/// One in so many. By chance and not by counting: of clients that take turns (submit, ask, submit, ask) counting would pick
/// all of the ones and none of the others.
fn is_picked(one_in: u64) -> bool {
    // Without the two bits that tell a UUID's variant.
    let random = super::span_id() & (u64::MAX >> 2);
    random.is_multiple_of(one_in)
}

/// A method that is none.
const OTHER: &str = "_OTHER";

/// What begins the name of an HTTP span: the method as [`http_method`] shows it, if it is a known one.
pub fn http_verb(method: &'static str) -> &'static str {
    if method == OTHER { "HTTP" } else { method }
}

/// A method as spans show it: anybody may make one up.
pub fn http_method(method: &str) -> &'static str {
    const KNOWN: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"];
    KNOWN.into_iter().find(|known| *known == method).unwrap_or(OTHER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_trace_in_so_many_is_picked() {
        let picked = |one_in| (0..10_000).filter(|_| is_picked(one_in)).count();
        assert_eq!(picked(1), 10_000);
        // Each of them is off by ten standard deviations where this fails.
        assert!((600..1_400).contains(&picked(10)), "{}", picked(10));
        assert_eq!(picked(u64::MAX), 0);
    }

    #[test]
    fn a_method_that_somebody_made_up_names_no_span() {
        assert_eq!(["GET", "get", "BREW"].map(http_method), ["GET", "_OTHER", "_OTHER"]);
        assert_eq!(["GET", "BREW"].map(http_method).map(http_verb), ["GET", "HTTP"]);
    }

    #[test]
    fn without_an_exporter_spans_have_places_but_are_not_described() {
        assert!(OpenSpan::begin(None, SpanKind::Server).is_none());
        let trace = TraceContext::fresh();
        let span = OpenSpan::begin(Some(trace), SpanKind::Server).expect("a span");
        assert_eq!(span.context().trace_id(), trace.trace_id());
        span.end(|| panic!("nobody wants to know"));
    }
}
