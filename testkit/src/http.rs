//! HTTP for tests: a [`Sink`] that plays the third party, and a [`Client`].
//!
//! The sink logs every request before it answers, and answers as it was told to per path: with a status, late, never, by
//! hanging up. Promise: what [`Sink::requests`] lists was received whole, in that order. It will not speak TLS or HTTP/2.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderMap, LOCATION, RETRY_AFTER};
use hyper::{Method, StatusCode};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// `wait` of Haul's API lasts up to a minute.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(75);

/// A request as the sink received it.
#[derive(Debug, Clone)]
pub struct Request {
    /// Such as `POST`.
    pub method: Method,
    /// The path, without the query.
    pub path: String,
    /// What follows the `?`, when there is one.
    pub query: Option<String>,
    /// The headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

impl Request {
    /// A header's value, when it is there and text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// What the sink does with a request.
#[derive(Debug, Clone)]
pub struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    delay: Duration,
    manner: Manner,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    Answer,
    HangUp,
    Hang,
}

impl Reply {
    /// An empty answer with this status.
    ///
    /// # Panics
    /// When it is no status.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self {
            status: StatusCode::from_u16(status).expect("a status"),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            delay: Duration::ZERO,
            manner: Manner::Answer,
        }
    }

    /// 302 to another path or URL.
    #[must_use]
    pub fn redirect(to: &str) -> Self {
        Self::status(302).header(LOCATION.as_str(), to)
    }

    /// Closes the connection after the request was read, without an answer.
    #[must_use]
    pub fn hang_up() -> Self {
        Self { manner: Manner::HangUp, ..Self::status(200) }
    }

    /// Keeps the connection open and never answers.
    #[must_use]
    pub fn hang() -> Self {
        Self { manner: Manner::Hang, ..Self::status(200) }
    }

    /// With a header.
    ///
    /// # Panics
    /// When name or value cannot be sent.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let name: hyper::header::HeaderName = name.parse().expect("a header name");
        self.headers.append(name, value.parse().expect("a header value"));
        self
    }

    /// With `Retry-After`, in seconds.
    #[must_use]
    pub fn retry_after(self, seconds: u64) -> Self {
        self.header(RETRY_AFTER.as_str(), &seconds.to_string())
    }

    /// With a body. [`Bytes::from`] of a `vec![b'x'; n]` makes a long one.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Given only after this time.
    #[must_use]
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }
}

/// A server that logs what it is asked and answers as it was told to. Dropping it closes it.
#[derive(Debug)]
pub struct Sink {
    address: SocketAddr,
    desk: Arc<Desk>,
    serving: JoinHandle<()>,
}

/// Decides what a request is answered with, once it was received whole.
type Answering = dyn Fn(&Request) -> Reply + Send + Sync;

/// What the sink's connections share.
struct Desk {
    requests: watch::Sender<Vec<Request>>,
    replies: Mutex<HashMap<String, Vec<Reply>>>,
    answering: Option<Box<Answering>>,
}

impl std::fmt::Debug for Desk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Desk").field("requests", &self.requests.borrow().len()).finish_non_exhaustive()
    }
}

impl Sink {
    /// Starts on a free port of 127.0.0.1; answers 200 to everything until it is told otherwise.
    ///
    /// # Errors
    /// When it cannot listen.
    pub async fn start() -> Result<Self> {
        Self::open(None).await
    }

    /// As [`Sink::start`], and every request is answered as `answering` says.
    ///
    /// # Errors
    /// When it cannot listen.
    pub async fn answering(answering: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Result<Self> {
        Self::open(Some(Box::new(answering))).await
    }

    async fn open(answering: Option<Box<Answering>>) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("no free port")?;
        let address = listener.local_addr()?;
        let desk = Desk { requests: watch::Sender::new(Vec::new()), replies: Mutex::default(), answering };
        let desk = Arc::new(desk);
        let serving = tokio::spawn(serve(listener, Arc::clone(&desk)));
        Ok(Self { address, desk, serving })
    }

    /// The URL of a path that begins with `/`.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The port it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// From now on answers requests to `path` with these, one after the other; the last is repeated.
    ///
    /// # Panics
    /// Without any reply.
    pub fn respond(&self, path: &str, replies: impl IntoIterator<Item = Reply>) {
        let mut replies: Vec<Reply> = replies.into_iter().collect();
        assert!(!replies.is_empty(), "no reply for {path}");
        // The next one is popped from the end.
        replies.reverse();
        self.desk.replies.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_owned(), replies);
    }

    /// What was received so far.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.desk.requests.borrow().clone()
    }

    /// Waits until at least `count` requests were received, and returns all.
    ///
    /// # Errors
    /// When there are fewer after `limit`.
    pub async fn wait_requests(&self, count: usize, limit: Duration) -> Result<Vec<Request>> {
        let mut requests = self.desk.requests.subscribe();
        let enough = tokio::time::timeout(limit, requests.wait_for(|requests| requests.len() >= count)).await;
        let received = self.requests();
        ensure!(enough.is_ok(), "only {} of {count} requests came within {limit:?}", received.len());
        Ok(received)
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(listener: TcpListener, desk: Arc<Desk>) {
    // Dropped with this task, and the connections with it.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => drop(connections.spawn(serve_connection(stream, Arc::clone(&desk)))),
                Err(error) => return eprintln!("the sink no longer listens: {error}"),
            },
            Some(_ended) = connections.join_next() => {}
        }
    }
}

async fn serve_connection(stream: TcpStream, desk: Arc<Desk>) {
    let answer = |request| {
        let desk = Arc::clone(&desk);
        async move { desk.answer(request).await }
    };
    let service = hyper::service::service_fn(answer);
    let served = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
    // Hanging up is an error to hyper, and so is a client that goes away: both are what the test wanted.
    drop(served);
}

impl Desk {
    async fn answer(&self, request: hyper::Request<Incoming>) -> Result<hyper::Response<Full<Bytes>>> {
        let (head, body) = request.into_parts();
        let request = Request {
            method: head.method,
            path: head.uri.path().to_owned(),
            query: head.uri.query().map(str::to_owned),
            headers: head.headers,
            body: body.collect().await?.to_bytes(),
        };
        let reply = match &self.answering {
            Some(answering) => answering(&request),
            None => self.next_reply(&request.path),
        };
        self.requests.send_modify(|requests| requests.push(request));
        tokio::time::sleep(reply.delay).await;
        match reply.manner {
            Manner::Answer => {}
            Manner::Hang => std::future::pending::<()>().await,
            Manner::HangUp => anyhow::bail!("hanging up"),
        }
        let mut response = hyper::Response::new(Full::new(reply.body));
        *response.status_mut() = reply.status;
        *response.headers_mut() = reply.headers;
        Ok(response)
    }

    fn next_reply(&self, path: &str) -> Reply {
        let mut replies = self.replies.lock().unwrap_or_else(PoisonError::into_inner);
        match replies.get_mut(path).map(|left| (left.len(), left)) {
            None | Some((0, _)) => Reply::status(200),
            Some((1, left)) => left[0].clone(),
            Some((_, left)) => left.pop().unwrap_or_else(|| Reply::status(200)),
        }
    }
}

/// A client for one server, which keeps its connections.
#[derive(Debug, Clone)]
pub struct Client {
    base: String,
    pool: Pool<HttpConnector, Full<Bytes>>,
}

/// A whole answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Such as 201.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

impl Answer {
    /// The body as JSON.
    ///
    /// # Errors
    /// When it is none: with the body.
    pub fn json(&self) -> Result<serde_json::Value> {
        serde_json::from_slice(&self.body)
            .with_context(|| format!("{}: no JSON: {}", self.status, String::from_utf8_lossy(&self.body)))
    }

    /// A header's value, when it is there and text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

impl Client {
    /// For the server at `base`, such as `http://127.0.0.1:8080`.
    #[must_use]
    pub fn new(base: &str) -> Self {
        let pool = Pool::builder(TokioExecutor::new()).build_http();
        Self { base: base.trim_end_matches('/').to_owned(), pool }
    }

    /// `GET` of a path, with its query.
    ///
    /// # Errors
    /// When there is no whole answer within 75 s. Any status is an answer.
    pub async fn get(&self, path: &str) -> Result<Answer> {
        self.send(hyper::Request::get(path), Bytes::new()).await
    }

    /// `POST` of JSON to a path.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn post(&self, path: &str, body: &serde_json::Value) -> Result<Answer> {
        let request = hyper::Request::post(path).header(CONTENT_TYPE, "application/json");
        self.send(request, body.to_string().into()).await
    }

    /// Any request; its URI is a path.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn send(&self, request: hyper::http::request::Builder, body: Bytes) -> Result<Answer> {
        let path = request.uri_ref().map(ToString::to_string).unwrap_or_default();
        let uri = format!("{}{path}", self.base);
        let request = request.uri(&uri).body(Full::new(body))?;
        let exchange = async {
            let (head, body) = self.pool.request(request).await?.into_parts();
            let body = body.collect().await?.to_bytes();
            anyhow::Ok(Answer { status: head.status.as_u16(), headers: head.headers, body })
        };
        let answer = tokio::time::timeout(ANSWER_TIMEOUT, exchange).await;
        answer.with_context(|| format!("{uri}: no whole answer within {ANSWER_TIMEOUT:?}"))?.context(uri)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[tokio::test]
    async fn a_sink_logs_each_request_and_answers_in_the_order_it_was_told() {
        let sink = Sink::start().await.expect("sink");
        sink.respond("/hook", [Reply::hang_up(), Reply::status(503).retry_after(1), Reply::status(201).body("done")]);
        let client = Client::new(&sink.url(""));
        let body = json!({"n": 7});

        assert!(client.post("/hook?a=b", &body).await.is_err());
        let busy = client.post("/hook", &body).await.expect("busy");
        assert_eq!((busy.status, busy.header("retry-after")), (503, Some("1")));
        for _ in 0..2 {
            let done = client.post("/hook", &body).await.expect("done");
            assert_eq!((done.status, &*done.body), (201, &b"done"[..]));
        }
        assert_eq!(client.get("/other").await.expect("other").status, 200);

        let requests = sink.wait_requests(5, Duration::from_secs(5)).await.expect("requests");
        assert_eq!(requests.len(), 5);
        assert_eq!((requests[0].path.as_str(), requests[0].query.as_deref()), ("/hook", Some("a=b")));
        assert_eq!(requests[0].body, body.to_string());
        assert_eq!(requests[4].method, Method::GET);
    }

    #[tokio::test]
    async fn a_sink_may_decide_by_the_request() {
        let busy_for = |request: &Request| Reply::status(if request.body == "1" { 200 } else { 503 });
        let sink = Sink::answering(busy_for).await.expect("sink");
        let client = Client::new(&format!("http://127.0.0.1:{}", sink.port()));
        assert_eq!(client.post("/", &json!(1)).await.expect("one").status, 200);
        assert_eq!(client.post("/", &json!(2)).await.expect("two").status, 503);
        assert_eq!(sink.requests().len(), 2);
    }

    #[tokio::test]
    async fn a_hanging_sink_has_the_request_and_gives_no_answer() {
        let sink = Sink::start().await.expect("sink");
        sink.respond("/slow", [Reply::hang()]);
        let client = Client::new(&sink.url(""));
        let asking = tokio::spawn(async move { client.get("/slow").await });
        sink.wait_requests(1, Duration::from_secs(5)).await.expect("the request");
        assert!(!asking.is_finished());
        drop(sink);
        // The connection went with the sink.
        assert!(asking.await.expect("a result").is_err());
    }
}
