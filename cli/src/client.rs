//! The commands' way to a running Haul: its HTTP API.
//!
//! One request, one answer: no retries, because a person sees the error and decides, and `--idempotency-key` makes a
//! second try safe. Answers are kept as the bytes that came, so that `--json` prints payloads exactly as they are.

use clap::Args;
use haul::{chain, settings};
use haul_core::{Span, TraceContext, trace::TRACEPARENT};
use reqwest::{Method, StatusCode, Url, header};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use std::{collections::BTreeMap, fmt, time::Duration};

const CONNECT_MAX: Duration = Duration::from_secs(5);
/// Longer than the longest `?wait=`.
const REQUEST_MAX: Duration = Duration::from_secs(90);

/// Where the API is, and how its answers are shown.
#[derive(Debug, Clone, Args)]
pub(crate) struct Remote {
    /// Where Haul's API is
    #[arg(long, env = "HAUL_URL", hide_env_values = true, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    pub(crate) url: Url,
    /// Print JSON, for programs: what the API answered, lists as one object a line
    #[arg(long)]
    pub(crate) json: bool,
}

/// A connection to the API.
pub(crate) struct Client {
    http: reqwest::Client,
    base: Url,
    key: Option<SecretString>,
    /// What is asked for belongs to it.
    trace: Option<TraceContext>,
}

/// Why there is no good answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// Nobody answered.
    #[error(
        "no answer from {url}: {why}\n  hint: start Haul with `haul up`, or say where it is with --url or HAUL_URL"
    )]
    Unreachable { url: String, why: String },
    /// The API refused, and said why.
    #[error("{0}")]
    Refused(Problem),
    /// It is no API of ours that answers.
    #[error("{url} answered {status}, which is no answer of Haul's API; is the URL right?")]
    Foreign { url: String, status: StatusCode },
}

/// A problem as the API describes it (RFC 9457).
#[derive(Debug, Deserialize)]
pub(crate) struct Problem {
    title: String,
    status: u16,
    #[serde(default)]
    detail: String,
    hint: Option<String>,
    #[serde(default)]
    errors: Vec<FieldProblem>,
    /// Of a process that is not ready: every check, and why it fails, or `ok`.
    #[serde(default)]
    checks: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
struct FieldProblem {
    pointer: String,
    detail: String,
}

impl ClientError {
    /// The status of a refusal.
    pub(crate) fn status(&self) -> Option<u16> {
        match self {
            Self::Refused(problem) => Some(problem.status),
            Self::Unreachable { .. } | Self::Foreign { .. } => None,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.title, self.status)?;
        for error in &self.errors {
            write!(f, "\n  {} {}", error.pointer, error.detail)?;
        }
        for (check, reason) in self.checks.iter().filter(|(_, reason)| *reason != "ok") {
            write!(f, "\n  {check}: {reason}")?;
        }
        // The detail sums the errors up, or repeats the title.
        let says_more =
            self.errors.is_empty() && self.checks.is_empty() && !self.detail.eq_ignore_ascii_case(&self.title);
        if says_more && !self.detail.is_empty() {
            write!(f, "\n  {}", self.detail)?;
        }
        let hint = match self.status {
            401 => Some("set HAUL_API_KEY to a key that this Haul knows"),
            _ => self.hint.as_deref(),
        };
        if let Some(hint) = hint {
            write!(f, "\n  hint: {hint}")?;
        }
        Ok(())
    }
}

impl Remote {
    /// A client for this API. The key comes from `HAUL_API_KEY` only: a flag would show in the list of processes.
    pub(crate) fn connect(&self) -> anyhow::Result<Client> {
        let mut http = reqwest::Client::builder()
            .user_agent(concat!("haul/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_MAX)
            .timeout(REQUEST_MAX)
            .redirect(reqwest::redirect::Policy::none());
        if self.is_loopback() {
            http = http.no_proxy();
        }
        let key = settings::Sources::read(None)?.secret("HAUL_API_KEY");
        Ok(Client { http: http.build()?, base: self.url.clone(), key, trace: settings::callers_trace() })
    }

    fn is_loopback(&self) -> bool {
        let host = self.url.host_str().unwrap_or_default();
        host == "localhost" || host.trim_matches(['[', ']']).parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
    }
}

/// A request to be made.
pub(crate) struct Request {
    method: Method,
    path: Vec<String>,
    query: Vec<(&'static str, String)>,
    body: Option<Vec<u8>>,
    idempotency_key: Option<String>,
    if_match: Option<String>,
}

impl Request {
    /// `GET /v1/...`, the path given by its segments.
    pub(crate) fn get<const N: usize>(path: [&str; N]) -> Self {
        Self::new(Method::GET, path)
    }

    /// `POST /v1/...`.
    pub(crate) fn post<const N: usize>(path: [&str; N]) -> Self {
        Self::new(Method::POST, path)
    }

    /// `PATCH /v1/...`.
    pub(crate) fn patch<const N: usize>(path: [&str; N]) -> Self {
        Self::new(Method::PATCH, path)
    }

    /// `GET /readyz`: beside the API, and served by every role where `--ops-listen` says.
    pub(crate) fn readiness() -> Self {
        Self::beside(Method::GET, "readyz")
    }

    /// `GET /log`: what the process logs. Beside the API, too.
    pub(crate) fn log() -> Self {
        Self::beside(Method::GET, "log")
    }

    /// `PUT /log`.
    pub(crate) fn set_log() -> Self {
        Self::beside(Method::PUT, "log")
    }

    /// `DELETE /log`.
    pub(crate) fn reset_log() -> Self {
        Self::beside(Method::DELETE, "log")
    }

    /// What is not below `/v1`.
    fn beside(method: Method, path: &str) -> Self {
        Self { path: vec![path.to_owned()], ..Self::new(method, []) }
    }

    /// `PUT /v1/...`.
    pub(crate) fn put<const N: usize>(path: [&str; N]) -> Self {
        Self::new(Method::PUT, path)
    }

    /// `DELETE /v1/...`.
    pub(crate) fn delete<const N: usize>(path: [&str; N]) -> Self {
        Self::new(Method::DELETE, path)
    }

    fn new<const N: usize>(method: Method, path: [&str; N]) -> Self {
        let path = ["v1"].into_iter().chain(path).map(str::to_owned).collect();
        Self { method, path, query: Vec::new(), body: None, idempotency_key: None, if_match: None }
    }

    /// With a query parameter, when there is a value.
    pub(crate) fn query(mut self, name: &'static str, value: Option<impl fmt::Display>) -> Self {
        self.query.extend(value.map(|value| (name, value.to_string())));
        self
    }

    /// With a JSON body.
    pub(crate) fn body(mut self, json: Vec<u8>) -> Self {
        self.body = Some(json);
        self
    }

    /// With an idempotency key, when there is one.
    pub(crate) fn idempotency_key(mut self, key: Option<String>) -> Self {
        self.idempotency_key = key;
        self
    }

    /// For what has this tag, and nothing else.
    pub(crate) fn if_match(mut self, tag: &str) -> Self {
        self.if_match = Some(tag.to_owned());
        self
    }
}

impl Client {
    /// Sends the request; the answer's body when it is a 2xx.
    pub(crate) async fn send(&self, request: Request) -> Result<Vec<u8>, ClientError> {
        Ok(self.look(request).await?.0)
    }

    /// Sends the request; the answer's body and its `ETag`, empty when there is none, when it is a 2xx.
    pub(crate) async fn look(&self, request: Request) -> Result<(Vec<u8>, String), ClientError> {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(&request.path);
        }
        if !request.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&request.query);
        }
        let mut http = self.http.request(request.method, url);
        if let Some(key) = &self.key {
            http = http.bearer_auth(key.expose_secret());
        }
        if let Some(trace) = self.trace {
            http = http.header(TRACEPARENT, trace.to_string());
        }
        if let Some(key) = request.idempotency_key {
            http = http.header("Idempotency-Key", key);
        }
        if let Some(tag) = request.if_match {
            http = http.header(header::IF_MATCH, tag);
        }
        if let Some(body) = request.body {
            http = http.header(header::CONTENT_TYPE, "application/json").body(body);
        }
        let answer = http.send().await.map_err(|error| self.unreachable(error))?;
        let status = answer.status();
        let tag = answer.headers().get(header::ETAG).and_then(|tag| tag.to_str().ok()).unwrap_or_default().to_owned();
        let body = answer.bytes().await.map_err(|error| self.unreachable(error))?;
        if status.is_success() {
            return Ok((body.to_vec(), tag));
        }
        match serde_json::from_slice(&body) {
            Ok(problem) => Err(ClientError::Refused(problem)),
            Err(_) => Err(self.foreign(status)),
        }
    }

    /// Sends the request and reads its answer.
    pub(crate) async fn read<T: for<'de> Deserialize<'de>>(&self, request: Request) -> Result<T, ClientError> {
        let body = self.send(request).await?;
        serde_json::from_slice(&body).map_err(|_| self.foreign(StatusCode::OK))
    }

    fn unreachable(&self, error: reqwest::Error) -> ClientError {
        let why = if error.is_timeout() {
            format!("nothing came within {}", Span::from_secs(REQUEST_MAX.as_secs()))
        } else {
            // Without the URL, which may hold a password and is named by us.
            chain(&error.without_url())
        };
        ClientError::Unreachable { url: self.shown_url(), why }
    }

    fn foreign(&self, status: StatusCode) -> ClientError {
        ClientError::Foreign { url: self.shown_url(), status }
    }

    fn shown_url(&self) -> String {
        match self.base.port() {
            Some(port) => format!("{}://{}:{port}", self.base.scheme(), self.base.host_str().unwrap_or_default()),
            None => format!("{}://{}", self.base.scheme(), self.base.host_str().unwrap_or_default()),
        }
    }
}
