//! What is logged, over real processes: every line names its request or its job, and the filter is changed while they run.

use crate::{
    production::on,
    world::{outcome, submit, text, until},
};
use haul_testkit::{
    http::{Answer, Client, Reply, Sink},
    postgres,
    process::{Finished, Haul, haul},
    redis,
};
use serde_json::{Value, json};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(30);
const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// The lines that a process has logged in JSON.
fn lines(process: &Haul) -> Vec<Value> {
    process.output().iter().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// What the span of this name says in a line.
fn span<'l>(line: &'l Value, name: &str) -> Option<&'l Value> {
    line["spans"].as_array()?.iter().find(|span| span["name"] == name)
}

async fn said(process: &Haul, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
    until(what, LIMIT, async || lines(process).into_iter().find(|line| is_it(line))).await
}

async fn send(client: &Client, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let mut request = http::Request::builder().method(method).uri(path).header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    client.send(request, body.to_owned().into()).await.expect("an answer")
}

fn run(url: &str, key: &str, arguments: &[&str]) -> Finished {
    haul(arguments).env("HAUL_URL", url).env("HAUL_API_KEY", key).run().expect("it runs")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_line_names_its_request_or_its_job_and_attempt() {
    let party = Sink::start().await.expect("a third party");
    party.respond("/orders", [Reply::status(503), Reply::status(200)]);
    let up = haul(&["up"])
        .env("HAUL_LOG_FILTER", "debug")
        .env("HAUL_LOG_FORMAT", "json")
        .env("HAUL_JOBS_RETRY_BASE", "10ms")
        .start()
        .await
        .expect("up");
    let job = json!({"kind": "http.request", "queue": "mail", "payload": {"url": party.url("/orders")}});
    let traceparent = format!("00-{TRACE_ID}-00f067aa0ba902b7-01");
    let headers = [("x-request-id", "client-7"), ("traceparent", traceparent.as_str())];
    let answer = send(&up.client(), "POST", "/v1/jobs", &headers, &job.to_string()).await;
    assert_eq!((answer.status, answer.header("x-request-id")), (201, Some("client-7")));
    let id = answer.json().expect("JSON")["id"].as_str().expect("an id").to_owned();
    assert_eq!(outcome(&up.client(), &id).await["state"], "succeeded");

    // The request, and the trace that it came in.
    let line = said(&up, "the request", |line| span(line, "request").is_some_and(|it| it["request_id"] == "client-7"));
    let line = line.await;
    assert_eq!(span(&line, "request").expect("a request")["trace_id"], TRACE_ID, "{line}");
    // A request without an id of its own, and a problem: they are told by the same.
    let answer = up.client().get("/v1/jobs/nonsense").await.expect("an answer");
    let problem = answer.json().expect("JSON");
    said(&up, "the refused request", |line| {
        span(line, "request").is_some_and(|it| it["request_id"] == problem["request_id"]) && line["status"] == 400
    })
    .await;

    // Both attempts, in what was logged while their handler ran; and the failure, which is told by whoever recorded it.
    for attempt in [1, 2] {
        let line = said(&up, "an attempt", |line| {
            span(line, "attempt").is_some_and(|it| it["job_id"] == *id && it["attempt"] == attempt)
        })
        .await;
        let it = span(&line, "attempt").expect("an attempt");
        assert_eq!((&it["kind"], &it["queue"]), (&json!("http.request"), &json!("mail")), "{line}");
        assert_eq!(it["trace_id"], TRACE_ID, "{line}");
    }
    let failed =
        said(&up, "the failure", |line| line["message"].as_str().is_some_and(|it| it.contains("retried"))).await;
    assert_eq!((&failed["job_id"], &failed["attempt"]), (&json!(id), &json!(1)), "{failed}");

    // No line of a request or a handler goes without.
    for line in lines(&up) {
        let target = line["target"].as_str().unwrap_or_default();
        if target.starts_with("haul_api::gate") {
            assert!(span(&line, "request").is_some_and(|it| it["request_id"].is_string()), "{line}");
        }
        if target.starts_with("haul_worker::attempt") || target.starts_with("haul_handlers") {
            assert!(span(&line, "attempt").is_some_and(|it| it["job_id"].is_string()), "{line}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn people_read_the_same_in_pretty_lines() {
    let up = haul(&["up"]).env("HAUL_LOG_FILTER", "debug").start().await.expect("up");
    let answer = send(&up.client(), "GET", "/v1/jobs", &[("x-request-id", "client-8")], "").await;
    assert_eq!(answer.status, 200);
    let line = up.wait_output("request_id=client-8", LIMIT).expect("a line");
    assert!(line.contains("a request was answered") && line.contains("status=200"), "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_fails_leaves_a_line_with_its_id_and_its_cause() {
    let database = postgres::shared().database();
    let redis = redis::Server::start(&redis::Options::default()).expect("redis");
    let migrated = haul(&["migrate"]).env("DATABASE_URL", &database).run().expect("migrate");
    assert_eq!(migrated.code, Some(0), "{migrated:?}");
    let api = on(&database, &redis.url(), &["api"]).env("HAUL_LOG_FORMAT", "json").start().await.expect("api");
    submit(&api.client(), json!({"kind": "echo", "payload": 1})).await;
    drop(redis);
    let problem = until("a 503", LIMIT, async || {
        let answer = send(&api.client(), "GET", "/v1/jobs?state=running", &[("x-request-id", "broken-1")], "").await;
        (answer.status == 503).then(|| answer.json().expect("JSON"))
    })
    .await;
    assert_eq!(problem["request_id"], "broken-1", "{problem}");
    let line = said(&api, "the failed request", |line| line["problem"] == "dispatch-unavailable").await;
    assert_eq!(span(&line, "request").expect("a request")["request_id"], "broken-1", "{line}");
    assert!(line["cause"].is_string(), "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_filter_of_each_role_is_shown_changed_and_reset_by_command() {
    const KEY: &str = "the-admin-key";
    let database = postgres::shared().database();
    let redis = redis::Server::start(&redis::Options::default()).expect("redis");
    let migrated = haul(&["migrate"]).env("DATABASE_URL", &database).run().expect("migrate");
    assert_eq!(migrated.code, Some(0), "{migrated:?}");
    let role = |role| {
        on(&database, &redis.url(), &[role])
            .env("HAUL_ADMIN_KEY", KEY)
            .env("HAUL_LOG_FORMAT", "json")
            .env("HAUL_LOG_FILTER", "info")
    };
    let api = role("api").start().await.expect("api");
    let worker = role("worker").start().await.expect("worker");
    let scheduler = role("scheduler").start().await.expect("scheduler");

    for (process, url) in [(&api, api.url()), (&worker, worker.ops_url()), (&scheduler, scheduler.ops_url())] {
        let shown = run(url, KEY, &["log"]);
        assert!(shown.code == Some(0) && shown.stdout.contains("configured  info"), "{shown:?}");
        let without = run(url, "wrong", &["log", "set", "off"]);
        assert_eq!(without.code, Some(3), "{without:?}");
        let bad = run(url, KEY, &["log", "set", "info,deubg"]);
        assert!(bad.code == Some(3) && bad.stderr.contains("`deubg`"), "{bad:?}");
        assert!(bad.stderr.contains("haul_worker=debug,info"), "an example: {bad:?}");
        let set = run(url, KEY, &["log", "set", "debug", "--for", "15m", "--json"]);
        let state: Value = serde_json::from_str(&set.stdout).expect("JSON");
        assert_eq!((&state["filter"], &state["configured"]), (&json!("debug"), &json!("info")), "{set:?}");
        assert!(state["until"].is_string(), "{set:?}");
        let line = said(process, "the change", |line| line["message"] == "what is logged was changed").await;
        assert!(line["filter"] == "debug" && span(&line, "request").is_some(), "{line}");
        let reset = run(url, KEY, &["log", "reset"]);
        assert!(reset.code == Some(0) && !reset.stdout.contains("until"), "{reset:?}");
    }

    // For a moment only: it returns by itself, and the lines with it.
    let set = run(api.url(), KEY, &["log", "set", "debug", "--for", "2s"]);
    assert_eq!(set.code, Some(0), "{set:?}");
    let key = format!("Bearer {KEY}");
    let look = async |id: &str| {
        let headers = [("x-request-id", id), ("authorization", key.as_str())];
        send(&api.client(), "GET", "/log", &headers, "").await
    };
    look("seen").await;
    said(&api, "a line at debug", |line| span(line, "request").is_some_and(|it| it["request_id"] == "seen")).await;
    until("the return", LIMIT, async || {
        let state = look("returning").await.json().expect("JSON");
        (state["filter"] == "info" && state["until"].is_null()).then_some(())
    })
    .await;
    look("unseen").await;
    let all = lines(&api);
    assert!(all.iter().any(|line| line["message"].as_str().is_some_and(|it| it.starts_with("its time is over"))));
    assert!(!all.iter().any(|line| span(line, "request").is_some_and(|it| it["request_id"] == "unseen")));
}

#[tokio::test]
async fn a_filter_that_is_no_filter_is_refused_at_the_start() {
    let refused = haul(&["up"]).env("HAUL_LOG_FILTER", "info,deubg").run().expect("it runs");
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.stderr.contains("log.filter") && refused.stderr.contains("`deubg`"), "{refused:?}");
}

#[tokio::test]
async fn one_request_or_one_job_is_followed_by_its_id() {
    let up = haul(&["up"]).env("HAUL_LOG_FORMAT", "json").start().await.expect("up");
    let echo = |tag: &str| json!({"kind": "echo", "payload": 1, "queue": tag, "delay": "2s"});
    let (job, other) = (submit(&up.client(), echo("a")).await, submit(&up.client(), echo("b")).await);
    let filter = format!("info,[request{{request_id=followed}}]=debug,[attempt{{job_id={job}}}]=debug");
    let change = json!({"filter": filter}).to_string();
    let answer = send(&up.client(), "PUT", "/log", &[], &change).await;
    assert_eq!(answer.status, 200, "{}", text(&answer));
    for id in ["unfollowed", "followed"] {
        send(&up.client(), "GET", "/v1/jobs", &[("x-request-id", id)], "").await;
    }
    outcome(&up.client(), &job).await;
    outcome(&up.client(), &other).await;
    said(&up, "the request", |line| span(line, "request").is_some_and(|it| it["request_id"] == "followed")).await;
    for message in ["a handler begins", "a handler has ended"] {
        said(&up, message, |line| line["message"] == message && span(line, "attempt").is_some()).await;
    }
    for line in lines(&up) {
        assert!(span(&line, "request").is_none_or(|it| it["request_id"] != "unfollowed"), "{line}");
        assert!(span(&line, "attempt").is_none_or(|it| it["job_id"] == *job), "{line}");
    }
}
