//! A collector of OpenTelemetry for tests: takes spans by OTLP over HTTP, and keeps them.
//!
//! What it keeps was decoded by OpenTelemetry's own types from what came over the wire. It answers every request as it was
//! told to last, and keeps only the spans of requests that it took.

use crate::http::{Reply, Request, Sink};
use anyhow::Result;
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{KeyValue, any_value},
    trace::v1::{self, span::SpanKind, status::StatusCode},
};
use prost::Message;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

/// A span, as it came.
#[derive(Debug, Clone)]
pub struct Span {
    /// 32 hexadecimal digits.
    pub trace_id: String,
    /// 16 hexadecimal digits.
    pub span_id: String,
    /// 16 hexadecimal digits; empty where it is the first of its trace.
    pub parent: String,
    /// `server`, `consumer` or `client`.
    pub kind: &'static str,
    /// What was done.
    pub name: String,
    /// Texts and numbers.
    pub attributes: BTreeMap<String, Value>,
    /// Whether it failed.
    pub is_error: bool,
    /// Nanoseconds since 1970.
    pub began_ns: u64,
    /// Nanoseconds since 1970.
    pub ended_ns: u64,
    /// What its process says about itself.
    pub origin: BTreeMap<String, Value>,
}

/// A running collector. Dropping it closes it.
#[derive(Debug)]
pub struct Collector {
    sink: Sink,
    desk: Arc<Mutex<Desk>>,
}

#[derive(Debug, Default)]
struct Desk {
    spans: Vec<Span>,
    /// Instead of taking what comes.
    refusal: Option<Reply>,
}

impl Collector {
    /// Starts on a free port of 127.0.0.1, and takes what comes.
    ///
    /// # Errors
    /// When it cannot listen.
    pub async fn start() -> Result<Self> {
        let desk = Arc::<Mutex<Desk>>::default();
        let for_sink = Arc::clone(&desk);
        let sink = Sink::answering(move |request| lock(&for_sink).answer(request)).await?;
        Ok(Self { sink, desk })
    }

    /// What `tracing.otlp_url` is to be.
    #[must_use]
    pub fn url(&self) -> String {
        self.sink.url("")
    }

    /// From now on answers with this, and takes nothing; `None`: takes what comes.
    pub fn refuse(&self, with: Option<Reply>) {
        lock(&self.desk).refusal = with;
    }

    /// The spans that it took.
    #[must_use]
    pub fn spans(&self) -> Vec<Span> {
        lock(&self.desk).spans.clone()
    }

    /// All requests that came, taken or not.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.sink.requests()
    }
}

fn lock(desk: &Mutex<Desk>) -> std::sync::MutexGuard<'_, Desk> {
    desk.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Desk {
    fn answer(&mut self, request: &Request) -> Reply {
        if let Some(refusal) = &self.refusal {
            return refusal.clone();
        }
        if request.path != "/v1/traces" || request.header("content-type") != Some("application/x-protobuf") {
            return Reply::status(404);
        }
        let Ok(export) = ExportTraceServiceRequest::decode(&*request.body) else { return Reply::status(400) };
        for of_origin in export.resource_spans {
            let origin = attributes(of_origin.resource.unwrap_or_default().attributes);
            let spans = of_origin.scope_spans.into_iter().flat_map(|of_scope| of_scope.spans);
            self.spans.extend(spans.map(|span| read(span, origin.clone())));
        }
        Reply::status(200).header("content-type", "application/x-protobuf")
    }
}

fn read(span: v1::Span, origin: BTreeMap<String, Value>) -> Span {
    let kind = match span.kind() {
        SpanKind::Server => "server",
        SpanKind::Client => "client",
        SpanKind::Consumer => "consumer",
        _ => "another",
    };
    Span {
        trace_id: hex(&span.trace_id),
        span_id: hex(&span.span_id),
        parent: hex(&span.parent_span_id),
        kind,
        is_error: span.status.as_ref().is_some_and(|status| status.code() == StatusCode::Error),
        name: span.name,
        attributes: attributes(span.attributes),
        began_ns: span.start_time_unix_nano,
        ended_ns: span.end_time_unix_nano,
        origin,
    }
}

fn attributes(pairs: Vec<KeyValue>) -> BTreeMap<String, Value> {
    let value = |pair: KeyValue| match pair.value.and_then(|value| value.value) {
        Some(any_value::Value::StringValue(text)) => (pair.key, json!(text)),
        Some(any_value::Value::IntValue(number)) => (pair.key, json!(number)),
        other => (pair.key, json!(format!("{other:?}"))),
    };
    pairs.into_iter().map(value).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
