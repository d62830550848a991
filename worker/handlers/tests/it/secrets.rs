//! A secret is sent, and shows nowhere else: not in a result, not in an error, not in a log.

use crate::world::{World, config, quick};
use haul_handlers::Secrets;
use haul_testkit::{
    http::{Reply, Request, Sink},
    secret::MARK,
};
use serde_json::json;
use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
};
use tracing_subscriber::{filter::LevelFilter, fmt::MakeWriter};

/// Holds the mark, and characters that are written otherwise in JSON, in URLs and in base64.
pub(crate) const PLANTED: &str = "MarkedAsSecret/+\"4711";

/// Everything that this process logs, of all tests.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;
    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// Gives back what it was sent, in every place and form that comes to mind.
fn echo(request: &Request) -> Reply {
    let key = request.header("x-key").unwrap_or_default();
    let status = request.path.trim_start_matches('/').parse().unwrap();
    let basic = request.header("authorization").unwrap_or_default();
    let body = format!("{key} {key}{key} {} {basic}", json!({"key": key}));
    let padding = "x".repeat(if request.query.is_some() { 4_096 - 10 } else { 0 });
    Reply::status(status).header("x-echo", key).body(format!("{padding}{body}"))
}

#[tokio::test]
async fn a_secret_shows_in_no_result_no_error_and_no_log() {
    assert!(PLANTED.contains(MARK));
    let log = Log::default();
    tracing_subscriber::fmt().with_max_level(LevelFilter::TRACE).with_writer(log.clone()).init();
    let server = Sink::answering(echo).await.unwrap();
    let variables = [("HAUL_SECRET_THE_KEY".to_owned(), PLANTED.into())];
    let world = World::with(config(), Secrets::new(variables, None)).await;
    let mut told = String::new();
    for path in ["/200", "/201", "/404", "/500", "/503", "/302", "/404?long", "/200?long"] {
        let payload = json!({
            "method": "POST",
            "url": server.url(path),
            "headers": {
                "X-Key": {"secret": "the-key"},
                "Authorization": {"secret": "the-key", "prefix": "Bearer "},
            },
            "body": {"order": 7},
        });
        let id = world.submit("http.request", &payload, quick(2)).await;
        let outcome = world.outcome(id).await;
        let record = world.look(id).await;
        let result = outcome.result.as_ref().map(|result| String::from_utf8_lossy(result).into_owned());
        told.push_str(&format!("{record:?}\n{outcome:?}\n{}\n", result.unwrap_or_default()));
    }
    let sent = server.requests();
    assert!(sent.len() >= 8 && sent.iter().all(|request| request.header("x-key") == Some(PLANTED)));
    assert_eq!(sent[0].header("authorization").unwrap(), format!("Bearer {PLANTED}"));
    world.end().await;
    let logged = String::from_utf8_lossy(&log.0.lock().unwrap()).into_owned();
    assert!(logged.lines().count() > 20, "only this was logged: {logged}");
    assert!(told.matches("[redacted]").count() >= 8, "{told}");
    for shown in [&told, &logged] {
        for form in [PLANTED, MARK, "MarkedAsSec"] {
            assert!(!shown.contains(form), "{form} shows in {shown}");
        }
    }
}

#[tokio::test]
async fn a_missing_secret_is_named_and_may_come_later() {
    let directory = tempfile::tempdir().unwrap();
    let server = Sink::start().await.unwrap();
    let world = World::with(config(), Secrets::new([], Some(directory.path().to_owned()))).await;
    let payload = json!({"url": server.url("/"), "headers": {"X-Key": {"secret": "later-key"}}});
    let dead = world.submit("http.request", &payload, quick(2)).await;
    let (attempt, message) = world.died(dead).await;
    assert_eq!(attempt, 2);
    assert!(message.contains("set HAUL_SECRET_LATER_KEY for the worker"), "{message}");
    assert!(server.requests().is_empty());
    std::fs::write(directory.path().join("later-key"), "here-now\n").unwrap();
    let id = world.submit("http.request", &payload, quick(2)).await;
    assert_eq!(world.succeeded(id).await["status"], 200);
    assert_eq!(server.requests()[0].header("x-key"), Some("here-now"));
    world.end().await;
}
