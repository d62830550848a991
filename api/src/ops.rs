//! `/healthz`, `/readyz` and `/metrics`: for probes and Prometheus, without a key, outside of `/v1`.
//!
//! The API serves them on its own address; other roles serve them with [`serve`] where `--ops-listen` says.

use crate::{
    RenderMetrics,
    http_server::{self, HttpLimits},
    problem::{Problem, ProblemBody, ProblemType},
    routes::json,
};
use axum::{
    Router,
    response::{IntoResponse, Response},
    routing::get,
};
use haul_core::Readiness;
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use std::{collections::BTreeMap, io, sync::Arc, time::Duration};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Connections at a time: a probe and a scraper need two.
const LIMITS: HttpLimits =
    HttpLimits { connections_max: 64, header_timeout: Duration::from_secs(5), drain: Duration::from_secs(2) };

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

/// Serves the three until `shutdown`, for roles that are no API.
pub async fn serve(
    listener: TcpListener,
    readiness: Readiness,
    render_metrics: impl Fn() -> String + Send + Sync + 'static,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let render_metrics: RenderMetrics = Arc::new(render_metrics);
    let router = Router::new()
        .route("/healthz", get(|| async { healthz() }))
        .route("/readyz", get(move || async move { readyz(&readiness, "") }))
        .route("/metrics", get(move || async move { metrics(&render_metrics) }))
        .fallback(|| async { Problem::new(ProblemType::NotFound, "there is nothing at this path").render("") })
        .method_not_allowed_fallback(|| async {
            Problem::new(ProblemType::MethodNotAllowed, "the path does not take this method").render("")
        });
    http_server::run(listener, router, LIMITS, shutdown).await
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
