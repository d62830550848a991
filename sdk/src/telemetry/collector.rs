//! The collector, as OpenTelemetry's own crates speak to it: encoding, retries and what is worth one are theirs.
//!
//! Ours is the HTTP client, so that TLS is what it is everywhere else, headers come from secrets (read each time, so that they
//! can be rotated), and the variables `OTEL_EXPORTER_OTLP_*` that may be there for other programs change nothing here.
//! The address is the operator's own: the guard for third parties does not apply to it.

use crate::chain::chain;
use haul_core::{
    Config, ProcessId,
    trace::{Ended, SpanKind, Value},
};
use haul_outgoing::{SecretName, Secrets};
use http::{HeaderName, HeaderValue, header};
use opentelemetry::{
    InstrumentationScope, KeyValue,
    trace::{self as otel, SpanContext, Status, TraceFlags, TraceState},
};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use opentelemetry_sdk::{
    Resource,
    trace::{SpanData, SpanExporter as _},
};
use parking_lot::Mutex;
use prost::Message;
use reqwest::{Client, redirect};
use rustls::{ClientConfig, RootCertStore};
use secrecy::ExposeSecret;
use std::{
    error::Error,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::time::timeout;

/// What a process says about itself with its spans.
pub(crate) struct Origin<'a> {
    pub(crate) process: ProcessId,
    pub(crate) role: &'a str,
    pub(crate) host: &'a str,
    pub(crate) version: &'static str,
}

/// Takes batches of spans.
pub(super) struct Collector {
    exporter: SpanExporter,
    line: Arc<Line>,
    scope: InstrumentationScope,
    time_max: Duration,
}

impl Collector {
    /// The collector at this URL.
    pub(super) fn new(
        url: &str,
        config: &Config,
        secrets: &Secrets,
        origin: &Origin<'_>,
    ) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let time_max = config.tracing.otlp_timeout.as_duration();
        let mut headers = Vec::new();
        for (name, secret) in &config.tracing.otlp_headers {
            headers.push((name.parse()?, SecretName::new(secret.as_str())?));
        }
        let client = client(url, config, time_max)?;
        let line = Arc::new(Line { client, headers, secrets: secrets.clone(), heard: Mutex::default() });
        let mut exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Shared(line.clone()))
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(format!("{}/v1/traces", url.trim_end_matches('/')))
            .with_timeout(time_max)
            .build()?;
        exporter.set_resource(&resource(config, origin));
        let scope = InstrumentationScope::builder("haul").with_version(origin.version).build();
        Ok(Self { exporter, line, scope, time_max })
    }

    /// Sends a batch, and tries again where that may help. Returns how many of its spans the collector did not want, or why
    /// none could be sent.
    pub(super) async fn send(&self, spans: Vec<Ended>) -> Result<u64, String> {
        let batch = spans.into_iter().map(|span| data(span, &self.scope)).collect();
        let sent = timeout(self.time_max, self.exporter.export(batch)).await;
        let heard = std::mem::take(&mut *self.line.heard.lock());
        match sent {
            Ok(Ok(())) => Ok(heard.refused),
            Ok(Err(error)) => Err(heard.problem.unwrap_or_else(|| chain(&error))),
            Err(_elapsed) => Err(heard.problem.unwrap_or_else(|| format!("no answer within {:?}", self.time_max))),
        }
    }
}

/// What came back during one export.
#[derive(Default)]
struct Heard {
    /// Why the last try failed, where the exporter is not told so.
    problem: Option<String>,
    refused: u64,
}

/// The way to the collector.
struct Line {
    client: Client,
    headers: Vec<(HeaderName, SecretName)>,
    secrets: Secrets,
    heard: Mutex<Heard>,
}

/// The exporter wants one of its own.
#[derive(Debug)]
struct Shared(Arc<Line>);

impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Line").finish_non_exhaustive()
    }
}

#[async_trait::async_trait]
impl HttpClient for Shared {
    async fn send_bytes(&self, mut request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let line = &self.0;
        let answer = async {
            line.address(&mut request).await?;
            line.client.send_bytes(request).await
        };
        let answer = answer.await;
        let mut heard = line.heard.lock();
        match &answer {
            Ok(answer) if answer.status().is_success() => heard.refused = refused(answer.body()),
            Ok(answer) => heard.problem = Some(format!("it answers {}", answer.status())),
            Err(error) => heard.problem = Some(chain(&**error)),
        }
        answer
    }
}

impl Line {
    /// Our headers instead of those that the exporter has found in the environment.
    async fn address(&self, request: &mut Request<Bytes>) -> Result<(), HttpError> {
        let headers = request.headers_mut();
        let content_type = headers.remove(header::CONTENT_TYPE);
        headers.clear();
        headers.extend(content_type.map(|value| (header::CONTENT_TYPE, value)));
        for (name, secret) in &self.headers {
            let secret = self.secrets.resolve(secret).await?;
            let mut value = HeaderValue::from_str(secret.expose_secret())?;
            value.set_sensitive(true);
            headers.insert(name.clone(), value);
        }
        Ok(())
    }
}

/// How many spans a collector that took the others refused. What is no answer of a collector refuses none.
fn refused(body: &[u8]) -> u64 {
    let answer = ExportTraceServiceResponse::decode(body).unwrap_or_default();
    answer.partial_success.map_or(0, |partial| u64::try_from(partial.rejected_spans).unwrap_or(0))
}

fn client(url: &str, config: &Config, time_max: Duration) -> Result<Client, Box<dyn Error + Send + Sync>> {
    let settings = Client::builder()
        .redirect(redirect::Policy::none())
        .no_proxy()
        .http1_only()
        .referer(false)
        .connect_timeout(config.outgoing.connect_timeout.as_duration())
        .timeout(time_max)
        .pool_max_idle_per_host(1)
        .user_agent(concat!("haul/", env!("CARGO_PKG_VERSION")));
    let settings = if url.starts_with("https:") {
        settings.tls_certs_merge(haul_outgoing::roots(&config.outgoing)?)
    } else {
        // Nothing to verify: a machine without CA certificates is no reason not to start.
        let nobody = ClientConfig::builder().with_root_certificates(RootCertStore::empty()).with_no_client_auth();
        settings.tls_backend_preconfigured(nobody)
    };
    Ok(settings.build()?)
}

fn resource(config: &Config, origin: &Origin<'_>) -> Resource {
    let environment = config.tracing.environment.clone();
    // Nothing of the environment variables that describe other programs.
    Resource::builder_empty()
        .with_service_name(config.tracing.service.clone())
        .with_attributes([
            KeyValue::new("service.version", origin.version),
            KeyValue::new("service.instance.id", origin.process.to_string()),
            KeyValue::new("host.name", origin.host.to_owned()),
            KeyValue::new("process.pid", i64::from(std::process::id())),
            KeyValue::new("haul.role", origin.role.to_owned()),
        ])
        .with_attributes(environment.map(|environment| KeyValue::new("deployment.environment.name", environment)))
        .build()
}

/// A span as OpenTelemetry has it.
fn data(span: Ended, scope: &InstrumentationScope) -> SpanData {
    let Ended { context, parent, kind, began_ns, ended_ns, what } = span;
    let (trace_id, span_id) = context.ids();
    let flags = TraceFlags::default().with_sampled(context.is_sampled());
    let mut attributes: Vec<KeyValue> = what
        .attributes
        .into_iter()
        .map(|(name, value)| match value {
            Value::Text(text) => KeyValue::new(name, text),
            Value::Number(number) => KeyValue::new(name, number),
        })
        .collect();
    let status = if what.error.is_some() { Status::error("") } else { Status::Unset };
    attributes.extend(what.error.map(|error| KeyValue::new("error.type", error)));
    SpanData {
        span_context: SpanContext::new(trace_id.into(), span_id.into(), flags, false, TraceState::default()),
        parent_span_id: parent.map_or(otel::SpanId::INVALID, Into::into),
        // Only a call has its parent in the same process for sure.
        parent_span_is_remote: parent.is_some() && kind != SpanKind::Client,
        span_kind: match kind {
            SpanKind::Server => otel::SpanKind::Server,
            SpanKind::Client => otel::SpanKind::Client,
            SpanKind::Consumer => otel::SpanKind::Consumer,
        },
        name: what.name.into(),
        start_time: time(began_ns),
        end_time: time(ended_ns),
        attributes,
        dropped_attributes_count: 0,
        events: Default::default(),
        links: Default::default(),
        status,
        instrumentation_scope: scope.clone(),
    }
}

fn time(ns: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_nanos(ns)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls;
    use haul_core::trace::{Described, TraceContext};
    use haul_testkit::{
        http::{Reply, Sink},
        receiver::Receiver,
    };
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTracePartialSuccess;
    use secrecy::SecretString;
    use std::io::Write;

    fn config(lines: &str) -> Config {
        let file = format!("[tracing]\notlp_timeout = \"2s\"\n{lines}");
        Config::load(Some(&file), [], &[]).unwrap().0
    }

    fn collector(url: &str, config: &Config, secrets: &Secrets) -> Collector {
        tls::install();
        let origin = Origin { process: ProcessId::random(), role: "api", host: "here", version: "1" };
        Collector::new(url, config, secrets, &origin).unwrap()
    }

    fn span() -> Ended {
        let context = TraceContext::fresh();
        let what = Described { name: "a".to_owned(), error: None, attributes: vec![("b", 1_u16.into())] };
        Ended { context, parent: None, kind: SpanKind::Server, began_ns: 1, ended_ns: 2, what }
    }

    async fn sent_to(sink: &Sink, reply: Reply) -> Result<u64, String> {
        sink.respond("/base/v1/traces", [reply]);
        collector(&sink.url("/base/"), &config(""), &Secrets::default()).send(vec![span(), span()]).await
    }

    #[tokio::test]
    async fn a_batch_counts_as_the_collector_has_taken_it() {
        let sink = Sink::start().await.unwrap();
        assert_eq!(sent_to(&sink, Reply::status(200)).await, Ok(0));
        let partial = ExportTracePartialSuccess { rejected_spans: 1, error_message: "no".to_owned() };
        let partial = ExportTraceServiceResponse { partial_success: Some(partial) }.encode_to_vec();
        assert_eq!(sent_to(&sink, Reply::status(200).body(partial)).await, Ok(1));
        assert_eq!(sent_to(&sink, Reply::status(200).body("not protobuf at all")).await, Ok(0));
        let before = sink.requests().len();
        let refused = sent_to(&sink, Reply::status(400).body("hush")).await.unwrap_err();
        assert_eq!((refused.as_str(), sink.requests().len()), ("it answers 400 Bad Request", before + 1));
        let busy = sent_to(&sink, Reply::status(503)).await.unwrap_err();
        assert!(busy.contains("503") && sink.requests().len() > before + 2, "it is tried again: {busy}");
        let late = sent_to(&sink, Reply::hang()).await.unwrap_err();
        assert!(late.contains("timed out") || late.contains("no answer within 2s"), "{late}");
    }

    #[tokio::test]
    async fn a_redirect_takes_no_secret_elsewhere() {
        let (sink, other) = (Sink::start().await.unwrap(), Sink::start().await.unwrap());
        let refused = sent_to(&sink, Reply::redirect(&other.url("/"))).await.unwrap_err();
        assert_eq!(refused, "it answers 302 Found");
        assert!(other.requests().is_empty());
    }

    #[tokio::test]
    async fn a_secret_that_is_not_set_is_named_and_nothing_is_sent() {
        let sink = Sink::start().await.unwrap();
        let config = config("otlp_headers = \"authorization=otlp-token\"");
        let spans = vec![span()];
        let why = collector(&sink.url(""), &config, &Secrets::default()).send(spans.clone()).await.unwrap_err();
        assert!(why.contains("set HAUL_SECRET_OTLP_TOKEN") && sink.requests().is_empty(), "{why}");
        let set = [("HAUL_SECRET_OTLP_TOKEN".to_owned(), SecretString::from("Bearer hush"))];
        assert_eq!(collector(&sink.url(""), &config, &Secrets::new(set, None)).send(spans).await, Ok(0));
        assert_eq!(sink.requests()[0].header("authorization"), Some("Bearer hush"));
    }

    #[tokio::test]
    async fn a_collector_behind_tls_has_to_be_trusted() {
        let receiver = Receiver::start_tls(&["localhost"]).await.unwrap();
        let hook = receiver.hook("/v1/traces");
        let url = hook.url().trim_end_matches("/v1/traces").to_owned();
        let mut trusting = config("");
        let stranger = collector(&url, &trusting, &Secrets::default()).send(vec![span()]).await.unwrap_err();
        assert!(stranger.contains("certificate"), "{stranger}");
        let mut roots = tempfile::NamedTempFile::new().unwrap();
        roots.write_all(receiver.certificate_pem().unwrap().as_bytes()).unwrap();
        trusting.outgoing.roots = Some(roots.path().to_owned());
        let answered = collector(&url, &trusting, &Secrets::default()).send(vec![span()]).await.unwrap_err();
        assert!(answered.starts_with("it answers 4"), "it wants a signature, which is none of ours: {answered}");
    }
}
