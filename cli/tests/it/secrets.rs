//! No secret shows in what a Haul that uses it tells, writes or stores.

use crate::world::{outcome, submit, text};
use base64::{Engine, prelude::BASE64_STANDARD as BASE64};
use haul_testkit::{
    collector::{Collector, Span},
    http::{Client, Reply, Request, Sink},
    process::{Haul, haul},
    provider::Provider,
    receiver::{Behaviour, Mood, Receiver},
    secret::{MARK, SIGNING_KEY_PREFIX, marked},
    smtp::{MailServer, Options},
    wait,
};
use serde_json::{Value, json};
use std::{fs, path::Path, time::Duration};

const LIMIT: Duration = Duration::from_secs(30);

/// Gives back what it was sent.
fn echo(request: &Request) -> Reply {
    let key = request.header("authorization").unwrap_or_default();
    let status = request.path.trim_start_matches('/').parse().expect("a path that is a status");
    Reply::status(status).header("x-echo", key).body(format!("you sent {key}"))
}

/// The files below a directory that hold the mark.
fn marked_files(directory: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(marked_files(&path));
        // A file of its own for a moment is none that is kept.
        } else if let Ok(bytes) = fs::read(&path)
            && bytes.windows(MARK.len()).any(|part| part == MARK.as_bytes())
        {
            found.push(path.display().to_string());
        }
    }
    found
}

/// A client that says the admin key.
struct Admin(Client, String);

impl Admin {
    async fn send(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, String) {
        let request = http::Request::builder().method(method).uri(path);
        let request = request.header("authorization", format!("Bearer {}", self.1)).header("if-match", "*");
        let request = request.header("idempotency-key", format!("{method} {path}"));
        let request = request.header("content-type", "application/json");
        let body = body.map(ToString::to_string).unwrap_or_default();
        let answer = self.0.send(request, body.into()).await.expect("an answer");
        (answer.status, text(&answer))
    }
}

async fn ended(admin: &Admin, kind: &str, count: usize) -> Vec<Value> {
    wait::until("jobs have ended", LIMIT, async || {
        let (status, page) = admin.send("GET", &format!("/v1/jobs?kind={kind}"), None).await;
        assert_eq!(status, 200, "{page}");
        let page: Value = serde_json::from_str(&page).expect("JSON");
        let jobs = page["data"].as_array().expect("data").clone();
        (jobs.len() == count && jobs.iter().all(|job| !job["outcome"].is_null())).then_some(jobs)
    })
    .await
}

/// Everything is asked for from the beginning.
#[tokio::test]
async fn no_secret_shows_in_what_is_told_logged_or_stored() {
    nothing_shows("trace", None).await;
}

/// Everything is asked for later on, in every way that a filter can be told to.
#[tokio::test]
async fn no_secret_shows_in_what_is_logged_after_the_filter_was_opened() {
    let all = "trace,lettre=trace,hyper=trace,hyper_util=trace,reqwest=trace,rustls=trace,redis=trace,sqlx=trace,\
        [request]=trace,[attempt]=trace";
    nothing_shows("info", Some(all)).await;
}

async fn nothing_shows(configured: &str, opened: Option<&str>) {
    let (server, provider) = (Sink::answering(echo).await.expect("a server"), Provider::start().await.expect("one"));
    let receiver = Receiver::start().await.expect("a receiver");
    let (key, admin_key, password) = (marked("orders"), marked("admin"), marked("mail"));
    let login = Some(("haul".to_owned(), password.clone()));
    let mail = MailServer::start_with(Options { login, ..Options::default() }).await.expect("a mail server");
    let collector = Collector::start().await.expect("a collector");
    let up: Haul = haul(&["up"])
        .env("HAUL_LOG_FILTER", configured)
        .env("HAUL_ADMIN_KEY", &admin_key)
        .env("HAUL_SECRET_ORDERS_KEY", &key)
        .env("HAUL_SECRET_MAIL", &password)
        .env("HAUL_EMAIL_URL", &format!("smtp+plain://127.0.0.1:{}", mail.port()))
        .env("HAUL_EMAIL_USER", "haul")
        .env("HAUL_EMAIL_PASSWORD", "mail")
        .env("HAUL_EMAIL_FROM", "shop@example.com")
        .env("HAUL_PAYMENTS_URL", &provider.url())
        .env("HAUL_PAYMENTS_SECRET", "provider")
        .env("HAUL_SECRET_PROVIDER", provider.secret_key())
        .env("HAUL_TRACING_OTLP_URL", &collector.url())
        .env("HAUL_TRACING_OTLP_HEADERS", "authorization=otlp-token")
        .env("HAUL_SECRET_OTLP_TOKEN", &marked("otlp"))
        .start()
        .await
        .expect("up");
    let admin = Admin(up.client(), admin_key);

    if let Some(filter) = opened {
        let (status, answer) = admin.send("PUT", "/log", Some(&json!({"filter": filter, "for": "10m"}))).await;
        assert_eq!(status, 200, "{answer}");
    }

    let mut told = String::new();
    for path in ["/200", "/404", "/500"] {
        let headers = json!({"Authorization": {"secret": "orders-key", "prefix": "Bearer "}});
        let payload = json!({"url": server.url(path), "headers": headers});
        let job = json!({"kind": "http.request", "payload": payload, "max_attempts": 1, "tags": {"path": path}});
        let sent = http::Request::post("/v1/jobs").header("authorization", format!("Bearer {}", admin.1));
        let sent = sent.header("content-type", "application/json");
        let answer = admin.0.send(sent, job.to_string().into()).await.expect("an answer");
        assert_eq!(answer.status, 201, "{}", text(&answer));
    }
    ended(&admin, "http.request", 3).await;
    let has_key = |request: &Request| request.header("authorization").is_some_and(|given| given.contains(&key));
    assert!(server.requests().iter().all(has_key));

    let letter = json!({"kind": "email.send", "payload": {"to": "ann@example.com", "subject": "s", "text": "t"}});
    let (status, answer) = admin.send("POST", "/v1/jobs", Some(&letter)).await;
    assert_eq!(status, 201, "{answer}");
    ended(&admin, "email.send", 1).await;
    assert_eq!(mail.messages().len(), 1, "the password was right");

    let payment = json!({"amount": 1050, "currency": "EUR", "source": "pm_card_visa"});
    let (status, made) = admin.send("POST", "/v1/payments", Some(&payment)).await;
    assert_eq!(status, 201, "{made}");
    ended(&admin, "payment.charge", 1).await;
    assert_eq!(provider.books().totals()["eur"].captured, 1_050);

    let hook = receiver.hook("/hook");
    hook.mood(Mood::always(Behaviour::Gone));
    let (status, created) = admin.send("POST", "/v1/endpoints", Some(&json!({"url": hook.url()}))).await;
    assert_eq!(status, 201, "{created}");
    let created: Value = serde_json::from_str(&created).expect("JSON");
    let first = created["secret"].as_str().expect("a secret").to_owned();
    let id = created["id"].as_str().expect("an id");
    let (_, rotated) = admin.send("POST", &format!("/v1/endpoints/{id}/rotate"), None).await;
    let rotated: Value = serde_json::from_str(&rotated).expect("JSON");
    hook.trust([first.as_str()]).expect("a secret");
    admin.send("POST", "/v1/events", Some(&json!({"type": "a.b", "data": 1}))).await;
    ended(&admin, "webhook.deliver", 1).await;
    assert_eq!(hook.books().turned_away(), 1, "{}", hook.books().summary());

    // What is told.
    let (_, page) = admin.send("GET", "/v1/jobs?limit=100", None).await;
    let jobs: Value = serde_json::from_str(&page).expect("JSON");
    told.push_str(&page);
    for job in jobs["data"].as_array().expect("data") {
        let id = job["id"].as_str().expect("an id");
        told.push_str(&admin.send("GET", &format!("/v1/jobs/{id}"), None).await.1);
    }
    for path in ["/v1/endpoints", "/v1/payments", "/v1/queues", "/v1/schedules", "/metrics", "/openapi.json"] {
        told.push_str(&admin.send("GET", path, None).await.1);
    }
    told.push_str(&admin.send("GET", &format!("/v1/endpoints/{id}"), None).await.1);
    told.push_str(&admin.send("GET", &format!("/v1/endpoints/{id}/deliveries"), None).await.1);
    assert!(told.contains("[redacted]") && told.contains("410"), "{told}");
    assert!(!told.contains(MARK), "a secret is told: {told}");
    let keys =
        [first.as_str(), rotated["secret"].as_str().expect("a secret")].map(|key| &key[SIGNING_KEY_PREFIX.len()..]);
    assert!(keys.iter().all(|key| !told.contains(key)), "a signing key is told: {told}");

    // What is logged, in detail.
    let logged = up.output().join("\n");
    for said in ["kind=http.request", "an endpoint is disabled", "DEBUG", "a request was answered"] {
        assert!(logged.contains(said), "{said} was not logged: {logged}");
    }
    // As it goes over the wire in AUTH PLAIN.
    let plain = BASE64.encode(format!("\0haul\0{password}"));
    assert!(!logged.contains(&plain) && !logged.contains("AUTH PLAIN"), "a password is logged: {logged}");
    assert!(!logged.contains(MARK) && keys.iter().all(|key| !logged.contains(key)), "a secret is logged: {logged}");

    // What is exported.
    let name = |span: &Span| (span.kind, span.name.clone());
    wait::until("spans of all kinds have come", LIMIT, async || {
        let names: Vec<_> = collector.spans().iter().map(name).collect();
        let expected = [("consumer", "attempt webhook.deliver"), ("client", "POST"), ("server", "POST /v1/payments")];
        expected.into_iter().all(|(kind, name)| names.contains(&(kind, name.to_owned()))).then_some(())
    })
    .await;
    for request in collector.requests() {
        assert!(request.header("authorization").is_some_and(|token| token.contains(MARK)));
        let body = String::from_utf8_lossy(&request.body);
        assert!(!body.contains(MARK) && keys.iter().all(|key| !body.contains(key)), "a secret is exported: {body}");
    }

    // What is stored: every byte of the ledger. Signing keys are, where endpoints are kept.
    let data = up.directory().join("haul-data");
    assert_eq!(marked_files(&data), [""; 0]);
    fs::write(data.join("proof"), format!("..{key}..")).expect("a file");
    assert_eq!(marked_files(&data).len(), 1, "it would have been found");
}

#[tokio::test]
async fn a_secret_in_a_place_that_is_stored_is_found_there() {
    // The same look that finds nothing above: a payload that holds the mark itself is in the ledger, as it was submitted.
    let up = haul(&["up"]).start().await.expect("up");
    let id = submit(&up.client(), json!({"kind": "echo", "payload": MARK})).await;
    outcome(&up.client(), &id).await;
    assert!(!marked_files(&up.directory().join("haul-data")).is_empty());
}
