//! HTTP in and out: who is asking, what goes wrong, what comes back.

use super::desk::Request;
use super::faults::Weather;
use super::form::Form;
use super::keys::Begun;
use super::objects::{Answer, Refusal};
use super::{Fault, Shared};
use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::{Frame, Incoming};
use hyper::{Method, Response, StatusCode};
use hyper_util::rt::TokioIo;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Sleep, sleep};

const BODY_BYTES_MAX: usize = 64 * 1_024;
const KEY_BYTES_MAX: usize = 255;
/// How long the first half of an answer has to leave before the connection breaks.
const FLUSH_MAX: Duration = Duration::from_millis(10);

pub(super) async fn listen(listener: TcpListener, shared: Arc<Shared>) {
    // Dropped with this task, and the connections with it.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => drop(connections.spawn(serve(stream, Arc::clone(&shared)))),
                Err(error) => return eprintln!("the provider no longer listens: {error}"),
            },
            Some(_ended) = connections.join_next() => {}
        }
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    // A failure costs only time.
    drop(stream.set_nodelay(true));
    let answer = |request| answer(request, Arc::clone(&shared));
    let service = hyper::service::service_fn(answer);
    let served = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
    // Hanging up is an error to hyper, and so is a client that goes away: both are what is wanted.
    drop(served);
}

async fn answer(request: hyper::Request<Incoming>, shared: Arc<Shared>) -> io::Result<Response<Body>> {
    let (head, body) = request.into_parts();
    let header =
        |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let Ok(body) = Limited::new(body, BODY_BYTES_MAX).collect().await else {
        return Err(io::ErrorKind::ConnectionReset.into());
    };
    let is_post = head.method == Method::POST;
    let body = body.to_bytes();
    let text =
        if is_post { String::from_utf8_lossy(&body).into_owned() } else { head.uri.query().unwrap_or("").to_owned() };
    let path = head.uri.path().to_owned();
    let refused = early(&shared, &head.method, &header, &text);
    let (form, idempotency_key) = match refused {
        Ok(read) => read,
        Err(refusal) => return Ok(respond(&shared, refusal.answer(), false)),
    };
    // Only what is to be done once has a name of its own.
    let name =
        if idempotency_key.is_empty() { format!("{} {path}?{text}", head.method) } else { idempotency_key.clone() };
    let nth = shared.desk().count(&name);
    let weather = shared.weather().clone();
    let fault = weather.strike(&name, nth, form.get("payment_method"));
    let fingerprint = format!("{} {path}\n{text}", head.method);
    let request = Request { is_post, path, form, idempotency_key };
    match fault {
        Some(Fault::Hang) => {
            shared.desk().struck(Fault::Hang);
            sleep(weather.hang).await;
            Err(io::ErrorKind::ConnectionReset.into())
        }
        Some(Fault::HangUp) => {
            shared.desk().struck(Fault::HangUp);
            Err(io::ErrorKind::ConnectionReset.into())
        }
        fault => {
            // A task of its own: what was begun is done, also when its client no longer waits.
            let carrying_out = carry_out(Arc::clone(&shared), request, fingerprint, fault, weather.clone());
            let (answer, fault) = tokio::spawn(carrying_out).await.map_err(io::Error::other)?;
            deliver(&shared, answer, fault, &weather).await
        }
    }
}

/// What is wrong with a request before anything begins; or what it asks for, and its idempotency key.
fn early(
    shared: &Shared,
    method: &Method,
    header: &impl Fn(&str) -> String,
    text: &str,
) -> Result<(Form, String), Refusal> {
    if header("authorization") != format!("Bearer {}", shared.secret_key) {
        return Err(Refusal::new(401, "invalid_request_error", None, "Invalid API Key provided."));
    }
    if !matches!(*method, Method::GET | Method::POST) {
        return Err(Refusal::new(405, "invalid_request_error", None, "GET or POST"));
    }
    if *method == Method::POST
        && !text.is_empty()
        && !header("content-type").starts_with("application/x-www-form-urlencoded")
    {
        return Err(Refusal::new(400, "invalid_request_error", None, "The body has to be form-encoded."));
    }
    let form =
        Form::parse(text).map_err(|name| Refusal::parameter(&name, "parameter_invalid_string", "Given twice"))?;
    let key = if *method == Method::POST { header("idempotency-key") } else { String::new() };
    if key.len() > KEY_BYTES_MAX {
        return Err(Refusal::new(400, "idempotency_error", None, "Idempotency keys have 255 characters at most."));
    }
    Ok((form, key))
}

/// Does what is asked for, once per key. Returns the answer, and the fault that really strikes.
async fn carry_out(
    shared: Arc<Shared>,
    request: Request,
    fingerprint: String,
    fault: Option<Fault>,
    weather: Weather,
) -> (Answer, Option<Fault>) {
    let key = request.idempotency_key.clone();
    if fault == Some(Fault::Busy) {
        let refusal = Refusal::new(429, "invalid_request_error", Some("rate_limit"), "Too many requests.");
        let answer = refusal.answer().with("retry-after", weather.retry_after_s.to_string());
        return (answer.with("stripe-should-retry", "true"), fault);
    }
    if !key.is_empty() {
        let begun = shared.desk().keys.begin(&key, &fingerprint);
        match begun {
            Begun::New => {}
            Begun::Replay(answer) => {
                shared.desk().books.replayed += 1;
                let answer = answer.with("idempotent-replayed", "true");
                let answer = if answer.status >= 500 { answer.with("stripe-should-retry", "false") } else { answer };
                // Nothing is done again, but the way to the client may be as bad.
                let on_the_way = [Fault::CommitAndHang, Fault::CommitAndHangUp, Fault::CommitAndCutOff];
                return (answer, fault.filter(|fault| on_the_way.contains(fault)));
            }
            Begun::Busy => {
                let message = "There is currently another in-progress request using this Idempotent Key.";
                let refusal = Refusal::new(409, "idempotency_error", Some("idempotency_key_in_use"), message);
                return (refusal.answer().with("stripe-should-retry", "true"), None);
            }
            Begun::Other => {
                let message =
                    "Keys for idempotent requests can only be used with the same parameters they were first used with.";
                let refusal = Refusal::new(400, "idempotency_error", None, message);
                return (refusal.answer().with("stripe-should-retry", "false"), None);
            }
        }
    }
    if fault == Some(Fault::Slow) {
        sleep(weather.slow).await;
    }
    let mut desk = shared.desk();
    let done = if fault.is_some_and(Fault::is_before_commit) { Err(failed()) } else { desk.perform(&request, fault) };
    let (answer, is_early) = match done {
        Err(refusal) => (refusal.answer(), refusal.is_early),
        Ok(_) if fault == Some(Fault::CommitAndFail) => (failed().answer(), false),
        Ok(answer) => (answer, false),
    };
    if !key.is_empty() {
        desk.keys.end(&key, (!is_early).then_some(&answer));
    }
    // Only charges are declined.
    let strikes = |fault: &Fault| *fault != Fault::Decline || answer.status == 402;
    let fault = fault.filter(strikes);
    (answer, fault)
}

fn failed() -> Refusal {
    Refusal::new(500, "api_error", None, "An unknown error occurred.")
}

/// Brings the answer to the client, or not.
async fn deliver(
    shared: &Shared,
    answer: Answer,
    fault: Option<Fault>,
    weather: &Weather,
) -> io::Result<Response<Body>> {
    if let Some(fault) = fault {
        shared.desk().struck(fault);
    }
    match fault {
        Some(Fault::CommitAndHang) => {
            sleep(weather.hang).await;
            Err(io::ErrorKind::ConnectionReset.into())
        }
        Some(Fault::CommitAndHangUp) => Err(io::ErrorKind::ConnectionReset.into()),
        fault => Ok(respond(shared, answer, fault == Some(Fault::CommitAndCutOff))),
    }
}

fn respond(shared: &Shared, answer: Answer, is_cut_off: bool) -> Response<Body> {
    let whole = answer.body.len();
    let request_id = format!("req_{}", shared.desk().books.requests);
    let body = if is_cut_off {
        Body { piece: Some(answer.body.slice(..whole / 2)), breaks: Some(Box::pin(sleep(FLUSH_MAX))) }
    } else {
        Body { piece: Some(answer.body), breaks: None }
    };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    let own = [("content-type", "application/json".to_owned()), ("request-id", request_id)];
    for (name, value) in own.into_iter().chain(answer.headers).chain([("content-length", whole.to_string())]) {
        if let Ok(value) = value.parse() {
            headers.insert(name, value);
        }
    }
    response
}

/// One piece, behind which the connection may break.
struct Body {
    piece: Option<Bytes>,
    breaks: Option<Pin<Box<Sleep>>>,
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if let Some(piece) = self.piece.take() {
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        match &mut self.breaks {
            None => Poll::Ready(None),
            Some(breaks) => breaks.as_mut().poll(context).map(|()| Some(Err(io::ErrorKind::ConnectionReset.into()))),
        }
    }
}
