//! HTTP in and out: what is checked, what is noted, what comes back.

use super::{ARRIVALS_MAX, Arrival, BODY_BYTES_MAX, Behaviour, Hook, Hooks, Shared, Verdict};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use std::io;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::sleep;

type Reply = io::Result<Response<Full<Bytes>>>;

pub(super) async fn listen(listener: TcpListener, hooks: Arc<Hooks>) {
    each(listener, |stream| serve(stream, Arc::clone(&hooks))).await;
}

#[cfg(feature = "tls")]
pub(super) async fn listen_tls(listener: TcpListener, hooks: Arc<Hooks>, acceptor: tokio_rustls::TlsAcceptor) {
    let protected = |stream| {
        let (hooks, acceptor) = (Arc::clone(&hooks), acceptor.clone());
        async move {
            // A client that does not trust the certificate goes away here.
            if let Ok(stream) = acceptor.accept(stream).await {
                serve(stream, hooks).await;
            }
        }
    };
    each(listener, protected).await;
}

async fn each<F: Future<Output = ()> + Send + 'static>(listener: TcpListener, serve: impl Fn(TcpStream) -> F) {
    // Dropped with this task, and the connections with it.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    // A failure costs only time.
                    drop(stream.set_nodelay(true));
                    drop(connections.spawn(serve(stream)));
                }
                Err(error) => return eprintln!("the receiver no longer listens: {error}"),
            },
            Some(_ended) = connections.join_next() => {}
        }
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin, hooks: Arc<Hooks>) {
    let service = hyper::service::service_fn(|request| answer(request, Arc::clone(&hooks)));
    let served = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
    // Hanging up is an error to hyper, and so is a client that goes away: both are what is wanted.
    drop(served);
}

async fn answer(request: Request<Incoming>, hooks: Arc<Hooks>) -> Reply {
    let (head, body) = request.into_parts();
    let hook = hooks.lock().unwrap_or_else(PoisonError::into_inner).get(head.uri.path()).cloned();
    let Some(Hook { shared, .. }) = hook else { return reply(StatusCode::NOT_FOUND, "nothing is received here") };
    if head.method != Method::POST {
        return reply(StatusCode::METHOD_NOT_ALLOWED, "POST");
    }
    let Ok(body) = Limited::new(body, BODY_BYTES_MAX).collect().await else {
        return reply(StatusCode::PAYLOAD_TOO_LARGE, "too long");
    };
    match note(&shared, &head.headers, body.to_bytes()) {
        Noted::Full => reply(StatusCode::INSUFFICIENT_STORAGE, "the books are full"),
        Noted::Refused(why) => reply(StatusCode::UNAUTHORIZED, why),
        Noted::Treated(behaviour, pause) => match behaviour {
            Behaviour::Take => reply(StatusCode::NO_CONTENT, ""),
            Behaviour::Gone => reply(StatusCode::GONE, "nobody is here any more"),
            Behaviour::Fail => reply(StatusCode::INTERNAL_SERVER_ERROR, "out of order"),
            Behaviour::Slow => {
                sleep(pause).await;
                reply(StatusCode::NO_CONTENT, "")
            }
            Behaviour::Hang => {
                sleep(pause).await;
                Err(io::ErrorKind::ConnectionReset.into())
            }
            Behaviour::HangUp => Err(io::ErrorKind::ConnectionReset.into()),
        },
    }
}

/// What became of an arrival, and how long it is then held.
enum Noted {
    Full,
    Refused(String),
    Treated(Behaviour, Duration),
}

/// Checks an arrival and enters it into the books: before anything is answered, so that no answer precedes them.
fn note(shared: &Shared, headers: &HeaderMap, body: Bytes) -> Noted {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let mut guard = shared.state();
    let state = &mut *guard;
    if state.books.arrivals.len() >= ARRIVALS_MAX {
        return Noted::Full;
    }
    let mut checked = Err("no secret is known".to_owned());
    for secret in &state.secrets {
        checked = secret.verify(&body, headers).map_err(|error| error.to_string());
        if checked.is_ok() {
            break;
        }
    }
    let (id, timestamp, signature) = (text("webhook-id"), text("webhook-timestamp"), text("webhook-signature"));
    let (verdict, behaviour, noted) = match checked {
        Err(why) => (Verdict::Refused, None, Noted::Refused(why)),
        Ok(()) => {
            let times = state.times.entry(id.clone()).or_default();
            let behaviour = state.next.pop_front().unwrap_or_else(|| state.mood.strike(&id, *times));
            *times += 1;
            let verdict = match behaviour.takes() {
                false => Verdict::TurnedAway,
                true if state.taken.insert(id.clone()) => Verdict::Accepted,
                true => Verdict::Duplicate,
            };
            let pause = if behaviour == Behaviour::Slow { state.mood.slow } else { state.mood.hang };
            (verdict, Some(behaviour), Noted::Treated(behaviour, pause))
        }
    };
    state.books.add(Arrival { id, timestamp, signature, body, verdict, behaviour });
    drop(guard);
    shared.arrived.send_replace(());
    noted
}

fn reply(status: StatusCode, text: impl Into<Bytes>) -> Reply {
    let mut response = Response::new(Full::new(text.into()));
    *response.status_mut() = status;
    Ok(response)
}
