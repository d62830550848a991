//! `http.request` against a real, small HTTP server.

use crate::world::{World, config, quick};
use haul_core::JobOptions;
use serde_json::json;
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// Answers by path; keeps what it was asked.
struct Server {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let kept = requests.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, kept.clone()));
            }
        });
        Self { address, requests }
    }
    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
    fn asked(&self, path: &str) -> usize {
        self.requests.lock().unwrap().iter().filter(|request| request.contains(&format!(" {path} "))).count()
    }
}

async fn serve(mut stream: TcpStream, kept: Arc<Mutex<Vec<String>>>) -> std::io::Result<()> {
    let request = read_request(&mut stream).await?;
    let earlier = kept.lock().unwrap().iter().filter(|other| other.lines().next() == request.lines().next()).count();
    let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
    kept.lock().unwrap().push(request);
    let (status, head, body) = match (path.as_str(), earlier) {
        ("/ok", _) => ("200 OK", "X-A: 1\r\nX-A: 2\r\n".to_owned(), "fine \u{1f69a}".to_owned()),
        ("/big", _) => ("200 OK", String::new(), "\u{1}é".repeat(200_000)),
        ("/busy", 0) => ("503 Service Unavailable", "Retry-After: 1\r\n".to_owned(), "later".to_owned()),
        ("/limited", 0) => ("429 Too Many Requests", "Retry-After: 999999999\r\n".to_owned(), String::new()),
        ("/down", _) => ("500 Internal Server Error", String::new(), "no luck".to_owned()),
        ("/gone", _) => ("404 Not Found", String::new(), "nothing here".to_owned()),
        ("/moved", _) => ("302 Found", "Location: /ok\r\n".to_owned(), String::new()),
        ("/cut", 0) => return Ok(()),
        ("/hang", _) => return std::future::pending().await,
        _ => ("200 OK", String::new(), String::new()),
    };
    let answer =
        format!("HTTP/1.1 {status}\r\n{head}Content-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
    stream.write_all(answer.as_bytes()).await
}

async fn read_request(stream: &mut TcpStream) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    loop {
        stream.read_buf(&mut bytes).await?;
        let text = String::from_utf8_lossy(&bytes);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length =
            head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
        if body.len() >= length.unwrap_or(0) {
            return Ok(text.into_owned());
        }
    }
}

#[tokio::test]
async fn the_answer_becomes_the_result() {
    let (world, server) = (World::start().await, Server::start().await);
    let payload = json!({
        "method": "POST", "url": server.url("/ok"), "headers": {"X-Order": "7"}, "body": {"order": 7},
    });
    let id = world.submit("http.request", &payload, quick(3)).await;
    let result = world.succeeded(id).await;
    assert_eq!(
        (&result["status"], &result["body"], &result["truncated"]),
        (&json!(200), &json!("fine 🚚"), &json!(false))
    );
    assert_eq!(result["headers"]["x-a"], "1, 2");
    world.end().await;
    let request = server.requests.lock().unwrap()[0].to_ascii_lowercase();
    assert!(request.starts_with("post /ok http/1.1\r\n"), "{request}");
    assert!(request.contains("x-order: 7\r\n") && request.contains("content-type: application/json\r\n"), "{request}");
    assert!(request.ends_with("\r\n\r\n{\"order\":7}"), "{request}");
}

#[tokio::test]
async fn temporary_trouble_is_retried_and_the_rest_is_final() {
    let (world, server) = (World::start().await, Server::start().await);
    let submit = async |path: &str, options: JobOptions| {
        world.submit("http.request", &json!({"url": server.url(path)}), options).await
    };
    let patient = JobOptions {
        retry: haul_core::RetryPolicy { cap: haul_core::Span::from_secs(2), ..quick(3).retry },
        ..quick(3)
    };
    let busy = submit("/busy", patient).await;
    let limited = submit("/limited", quick(3)).await;
    let cut = submit("/cut", quick(3)).await;
    let [down, gone, moved] =
        [submit("/down", quick(2)).await, submit("/gone", quick(9)).await, submit("/moved", quick(9)).await];
    for id in [busy, limited, cut] {
        assert_eq!(world.outcome(id).await.attempt, 2);
        assert_eq!(world.succeeded(id).await["status"], 200);
    }
    let failure = world.look(busy).await.failures.remove(0);
    assert!(failure.retry_at.since(failure.at) >= Duration::from_millis(990), "Retry-After was not honoured");
    assert_eq!(failure.error.detail.unwrap(), "later");
    assert_eq!(world.died(down).await, (2, "the server answered 500 Internal Server Error".to_owned()));
    assert_eq!(world.died(gone).await, (1, "the server answered 404 Not Found".to_owned()));
    assert_eq!(world.outcome(gone).await.error.unwrap().detail.unwrap(), "nothing here");
    assert_eq!(world.died(moved).await.1, "the server answered 302 Found; redirects are not followed");
    assert_eq!((server.asked("/gone"), server.asked("/moved"), server.asked("/down")), (1, 1, 2));
    world.end().await;
}

#[tokio::test]
async fn a_big_answer_is_cut_so_that_its_result_fits() {
    let (world, server) = (World::start().await, Server::start().await);
    let id = world.submit("http.request", &json!({"url": server.url("/big")}), quick(3)).await;
    let result = world.outcome(id).await.result.unwrap();
    assert!((30_000..=config().worker.result_bytes_max).contains(&result.len()), "{} bytes", result.len());
    let result: serde_json::Value = serde_json::from_slice(&result).unwrap();
    assert_eq!(result["truncated"], true);
    world.end().await;
}

#[tokio::test]
async fn a_server_that_does_not_answer_takes_no_longer_than_the_attempt_may() {
    let (world, server) = (World::start().await, Server::start().await);
    let options = JobOptions { timeout: haul_core::Span::from_ms(200), ..quick(1) };
    let id = world.submit("http.request", &json!({"url": server.url("/hang")}), options).await;
    assert_eq!(world.died(id).await, (1, "the handler took longer than its 200ms".to_owned()));
    world.end().await;
}

#[tokio::test]
async fn an_unreachable_server_is_retried_and_its_url_is_not_quoted() {
    let world = World::start().await;
    let unused = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let url = format!("http://{unused}/?token=hush");
    let id = world.submit("http.request", &json!({"url": url}), quick(2)).await;
    let (attempt, message) = world.died(id).await;
    assert_eq!(attempt, 2);
    let detail = world.outcome(id).await.error.unwrap().detail.unwrap_or_default();
    assert!(!message.contains("hush") && !detail.contains("hush"), "{message} {detail}");
    world.end().await;
}

#[tokio::test]
async fn a_bad_payload_fails_that_job_alone_and_for_good() {
    let (world, server) = (World::start().await, Server::start().await);
    let bad = world.submit("http.request", &json!({"url": "file:///etc/passwd"}), quick(3)).await;
    let good = world.submit("http.request", &json!({"url": server.url("/ok")}), quick(3)).await;
    assert_eq!(world.died(bad).await, (1, "the URL must begin with http:// or https://".to_owned()));
    assert_eq!(world.succeeded(good).await["status"], 200);
    world.end().await;
}
