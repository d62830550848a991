//! HTTP/1.1 on a listener: bounded connections, a limit on the time for a request's head, and an orderly end.
//!
//! Bounded by waiting, not by refusing: beyond the limit, connections wait in the kernel's backlog until one ends. On
//! shutdown nothing new is accepted, idle connections close, requests under way finish within `drain`; then the rest is
//! cut off. HTTP/2 is left to the proxies in front.

use crate::linger::Lingering;
use axum::{Router, body::Body};
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{convert::Infallible, io, pin::pin, sync::Arc, time::Duration};
use tokio::{
    net::TcpListener,
    sync::Semaphore,
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::Service;

/// Bounds of a listener.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HttpLimits {
    pub(crate) connections_max: usize,
    /// For a request's head; also how long a connection may be idle between requests.
    pub(crate) header_timeout: Duration,
    /// For requests that are under way at the end.
    pub(crate) drain: Duration,
}

/// How long accepting pauses when the process has no sockets left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until `shutdown`, and until what is under way by then has ended.
pub(crate) async fn run(
    listener: TcpListener,
    router: Router,
    limits: HttpLimits,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let connections = TaskTracker::new();
    let room = Arc::new(Semaphore::new(limits.connections_max));
    let cut = CancellationToken::new();
    loop {
        let permit = tokio::select! {
            () = shutdown.cancelled() => break,
            permit = room.clone().acquire_owned() => permit.map_err(io::Error::other)?,
        };
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::trace!(%error, "a client was gone at once");
                }
                let stream = Lingering::new(stream, permit);
                let connection = serve(stream, router.clone(), limits.header_timeout, shutdown.clone());
                let cut = cut.clone();
                connections.spawn(async move {
                    tokio::select! {
                        () = connection => {}
                        () = cut.cancelled() => {}
                    }
                });
            }
            // The peer was gone again before it was accepted.
            Err(error) if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) => {
            }
            Err(error) => {
                tracing::warn!(%error, "connections cannot be accepted");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    connections.close();
    if timeout(limits.drain, connections.wait()).await.is_err() {
        tracing::warn!(connections = connections.len(), "requests were cut off: they took longer than the drain");
        cut.cancel();
        connections.wait().await;
    }
    Ok(())
}

async fn serve(stream: Lingering, router: Router, header_timeout: Duration, shutdown: CancellationToken) {
    let service = service_fn(move |request| answer(router.clone(), request));
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(header_timeout)
            // A client may end its direction and still wait for the answer.
            .half_close(true)
            .serve_connection(TokioIo::new(stream), service)
    );
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke off");
    }
}

async fn answer(mut router: Router, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let is_options = *request.method() == Method::OPTIONS;
    let response = router.call(request).await?;
    Ok(if is_options { options(response) } else { response })
}

/// OPTIONS asks which methods a path takes: the refusal of OPTIONS itself knows.
fn options(refusal: Response<Body>) -> Response<Body> {
    if refusal.status() != StatusCode::METHOD_NOT_ALLOWED {
        return refusal;
    }
    let (mut parts, _) = refusal.into_parts();
    parts.status = StatusCode::NO_CONTENT;
    parts.headers.remove(header::CONTENT_TYPE);
    parts.headers.remove(header::CONTENT_LENGTH);
    let allow = parts.headers.get(header::ALLOW).and_then(|allow| allow.to_str().ok()).unwrap_or_default();
    if let Ok(allow) = HeaderValue::try_from(format!("{allow},OPTIONS")) {
        parts.headers.insert(header::ALLOW, allow);
    }
    Response::from_parts(parts, Body::empty())
}
