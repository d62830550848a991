//! `/healthz`, `/readyz` and `/metrics`: for probes and Prometheus, without a key, outside of `/v1`. Beside them `/log`, with the
//! admin key: without one, on a listener that this machine alone reaches.
//!
//! The API serves them on its own address; other roles serve them with [`serve`] where `--ops-listen` says.

use crate::{
    RenderMetrics,
    app::RequestId,
    auth::Access,
    body::{self, BodyLimits},
    headers,
    http_server::{self, HttpLimits},
    log::{self, LogFilter},
    problem::{Problem, ProblemBody, ProblemType},
    routes::json,
};
use axum::{
    Router,
    extract::{RawQuery, Request, State},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use haul_core::Readiness;
use http::{HeaderValue, StatusCode, header};
use secrecy::SecretString;
use serde::Serialize;
use std::{collections::BTreeMap, io, sync::Arc, time::Duration};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

/// Connections at a time: a probe and a scraper need two.
const LIMITS: HttpLimits =
    HttpLimits { connections_max: 64, header_timeout: Duration::from_secs(5), drain: Duration::from_secs(2) };
/// What a change of the log may cost.
const BODY: BodyLimits = BodyLimits { bytes_max: log::BODY_BYTES_MAX, time_max: Duration::from_secs(5) };

/// The state of a process that is ready.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Ready {
    /// `ready`.
    status: &'static str,
    /// Every check: `ok`.
    checks: BTreeMap<&'static str, String>,
}

/// A process that is not ready: a problem, and which checks fail.
#[derive(Serialize)]
struct NotReady<'a> {
    #[serde(flatten)]
    problem: ProblemBody<'a>,
    checks: BTreeMap<&'static str, String>,
}

/// What a role that is no API serves.
pub struct OpsDeps {
    /// What `/readyz` shows.
    pub readiness: Readiness,
    /// What `/metrics` shows.
    pub render_metrics: RenderMetrics,
    /// What `/log` shows and changes.
    pub log_filter: Arc<dyn LogFilter>,
    /// The key that `/log` wants.
    pub admin_key: Option<SecretString>,
}

/// Serves them until `shutdown`, for roles that are no API.
pub async fn serve(listener: TcpListener, deps: OpsDeps, shutdown: CancellationToken) -> io::Result<()> {
    let access = Access::at(listener.local_addr()?, deps.admin_key.as_ref());
    let deps = Arc::new(deps);
    let log = get(show_log).put(set_log).delete(reset_log).layer(middleware::from_fn_with_state(access, admit));
    let router = Router::new()
        .route("/healthz", get(|| async { healthz() }))
        .route("/readyz", get(ready))
        .route("/metrics", get(|State(deps): State<Arc<OpsDeps>>| async move { metrics(&deps.render_metrics) }))
        .route("/log", log)
        .fallback(|| async { Problem::new(ProblemType::NotFound, "there is nothing at this path") })
        .method_not_allowed_fallback(|| async {
            Problem::new(ProblemType::MethodNotAllowed, "the path does not take this method; see Allow")
        })
        .layer(middleware::from_fn(gate))
        .with_state(deps);
    http_server::run(listener, router, LIMITS, shutdown).await
}

/// Gives a request its id, and writes down the problem that its answer carries.
async fn gate(mut request: Request, next: Next) -> Response {
    let id = RequestId(headers::request_id(request.headers()));
    request.extensions_mut().insert(id.clone());
    let span = tracing::error_span!("request", request_id = %id.as_str());
    let mut response = next.run(request).instrument(span.clone()).await;
    if let Some(problem) = response.extensions_mut().remove::<Arc<Problem>>() {
        if problem.status() == StatusCode::INTERNAL_SERVER_ERROR {
            span.in_scope(|| tracing::error!(cause = problem.cause(), "a request failed"));
        }
        let allow = response.headers_mut().remove(header::ALLOW);
        response = problem.render(id.as_str());
        if let Some(allow) = allow {
            response.headers_mut().insert(header::ALLOW, allow);
        }
    }
    response.headers_mut().insert(headers::REQUEST_ID, id.0);
    response
}

async fn admit(State(access): State<Access>, request: Request, next: Next) -> Response {
    match access.admit(request.uri(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

async fn ready(State(deps): State<Arc<OpsDeps>>, request: Request) -> Response {
    readyz(&deps.readiness, RequestId::of(&request).as_str())
}

async fn show_log(State(deps): State<Arc<OpsDeps>>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    log::show(&*deps.log_filter, query.as_deref())
}

async fn set_log(State(deps): State<Arc<OpsDeps>>, request: Request) -> Result<Response, Problem> {
    headers::identity_encoding(request.headers())?;
    headers::content_type(request.headers(), "application/json")?;
    let query = request.uri().query().map(str::to_owned);
    let body = body::read(request.into_body(), BODY).await?;
    log::set(&*deps.log_filter, query.as_deref(), &body)
}

async fn reset_log(State(deps): State<Arc<OpsDeps>>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    log::reset(&*deps.log_filter, query.as_deref())
}

/// The process runs.
pub(crate) fn healthz() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], r#"{"status":"ok"}"#).into_response()
}

/// The process can be sent work, or why not.
pub(crate) fn readyz(readiness: &Readiness, request_id: &str) -> Response {
    let checks = readiness.checks();
    let is_ready = checks.iter().all(|(_, reason)| reason.is_none());
    let named = checks.into_iter().map(|(name, reason)| (name, reason.unwrap_or_else(|| "ok".to_owned())));
    let checks: BTreeMap<_, _> = named.collect();
    let answer = if is_ready {
        json(StatusCode::OK, &Ready { status: "ready", checks })
    } else {
        let problem = Problem::new(ProblemType::NotReady, "a check fails");
        json(problem.status(), &NotReady { problem: problem.body(request_id), checks })
    };
    match answer {
        Ok(mut response) if !is_ready => {
            let content_type = HeaderValue::from_static("application/problem+json");
            response.headers_mut().insert(header::CONTENT_TYPE, content_type);
            response
        }
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    }
}

/// What Prometheus scrapes.
pub(crate) fn metrics(render: &RenderMetrics) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], render()).into_response()
}
