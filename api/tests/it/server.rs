//! The process: probes, keys, methods, request ids, the dispatch's absence, and the end.

use crate::{
    client::{read, send},
    world::{Words, World, request, until},
};
use haul_api::ops::OpsDeps;
use haul_core::{Ledger, Readiness};
use serde_json::json;
use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_util::sync::CancellationToken;

fn ops(readiness: &Readiness, admin_key: Option<&str>) -> OpsDeps {
    OpsDeps {
        readiness: readiness.clone(),
        render_metrics: Arc::new(|| "haul_up 1\n".to_owned()),
        log_filter: Arc::new(Words::default()),
        admin_key: admin_key.map(|key| key.to_owned().into()),
    }
}

#[tokio::test]
async fn probes_and_metrics_are_served_beside_the_api_and_for_other_roles() {
    let world = World::with(|config| config.admin_key = Some("k".to_owned().into())).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (readiness, shutdown) = (Readiness::new(), CancellationToken::new());
    let serving = tokio::spawn(haul_api::ops::serve(listener, ops(&readiness, None), shutdown.clone()));
    for (address, readiness) in [(world.address, &world.readiness), (address, &readiness)] {
        let get = async |path: &str| send(address, &request(&format!("GET {path}"), &[], b"")).await;
        assert_eq!(get("/healthz").await.expect(200), json!({"status": "ok"}));
        assert_eq!(get("/metrics").await.text(), "haul_up 1\n");
        readiness.set_ready("ledger");
        assert_eq!(get("/readyz").await.expect(200)["checks"]["ledger"], "ok");
        readiness.set_unready("dispatch", "not reached yet");
        let answer = get("/readyz").await;
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        let problem = answer.expect(503);
        assert_eq!(
            (&problem["type"], &problem["checks"]["dispatch"]),
            (&json!("/problems/not-ready"), &json!("not reached yet"))
        );
        assert_eq!(get("/nope").await.expect(404)["type"], "/problems/not-found");
        assert_eq!(get("/healthz").await.status, 200);
    }
    shutdown.cancel();
    serving.await.unwrap().unwrap();
}

#[tokio::test]
async fn the_log_is_shown_and_changed_with_the_key_at_the_api_and_at_other_roles() {
    let world = World::with(|config| config.admin_key = Some("k".to_owned().into())).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, shutdown) = (listener.local_addr().unwrap(), CancellationToken::new());
    let serving = tokio::spawn(haul_api::ops::serve(listener, ops(&Readiness::new(), Some("k")), shutdown.clone()));
    for address in [world.address, address] {
        let key = ("authorization", "Bearer k");
        let say = async |line: &str, headers: &[(&str, &str)], body: &str| {
            send(address, &request(line, headers, body.as_bytes())).await
        };
        let json_type = ("content-type", "application/json");
        for line in ["GET /log", "PUT /log", "DELETE /log"] {
            let answer = say(line, &[("x-request-id", "r-1"), json_type], r#"{"filter": "trace"}"#).await;
            assert_eq!(
                (answer.header("x-request-id"), answer.header("www-authenticate")),
                (Some("r-1"), Some("Bearer"))
            );
            assert_eq!(answer.problem(401, "unauthorized")["request_id"], "r-1");
        }
        let shown = say("GET /log", &[key], "").await.expect(200);
        assert_eq!(shown, json!({"filter": "info", "configured": "info", "until": null}));
        let put = async |body: &str| say("PUT /log", &[key, json_type], body).await;
        let changed = put(r#"{"filter": "haul=debug", "for": "15m"}"#).await.expect(200);
        let expected = json!({"filter": "haul=debug", "configured": "info", "until": "1970-01-01T00:15:00.000Z"});
        assert_eq!(changed, expected);
        for (body, pointer) in [
            ("7", ""),
            ("{}", "/filter"),
            (r#"{"filter": 7}"#, "/filter"),
            (r#"{"filter": "bad"}"#, "/filter"),
            (r#"{"filter": "debug", "for": "25h"}"#, "/for"),
            (r#"{"filter": "debug", "for": "0s"}"#, "/for"),
            (r#"{"filter": "debug", "for": 15}"#, "/for"),
            (r#"{"filter": "debug", "until": "15m"}"#, "/until"),
        ] {
            let problem = put(body).await.problem(422, "invalid-request");
            assert_eq!(problem["errors"][0]["pointer"], pointer, "{body}: {problem}");
        }
        put("").await.problem(400, "malformed-json");
        put(r#"{"filter": "a", "filter": "b"}"#).await.problem(400, "malformed-json");
        put(&format!(r#"{{"filter": "{}"}}"#, "x".repeat(9_000))).await.problem(413, "body-too-large");
        say("PUT /log", &[key], r#"{"filter": "debug"}"#).await.problem(415, "unsupported-media-type");
        say("GET /log?a=b", &[key], "").await.problem(400, "invalid-query");
        let answer = say("POST /log", &[key], "").await;
        assert!(answer.header("allow").is_some_and(|allow| allow.contains("PUT")), "{answer:?}");
        answer.problem(405, "method-not-allowed");
        assert_eq!(say("GET /log", &[key], "").await.expect(200)["filter"], "haul=debug", "nothing was changed");
        assert_eq!(say("DELETE /log", &[key], "").await.expect(200)["filter"], "info");
    }
    shutdown.cancel();
    serving.await.unwrap().unwrap();
}

#[tokio::test]
async fn logs_that_are_not_ours_are_not_changed() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, shutdown) = (listener.local_addr().unwrap(), CancellationToken::new());
    let deps = OpsDeps { log_filter: Arc::new(Words::foreign()), ..ops(&Readiness::new(), None) };
    let serving = tokio::spawn(haul_api::ops::serve(listener, deps, shutdown.clone()));
    for line in ["GET /log", "PUT /log", "DELETE /log"] {
        let headers = [("content-type", "application/json")];
        let answer = send(address, &request(line, &headers, br#"{"filter": "debug"}"#)).await;
        answer.problem(409, "log-foreign");
    }
    shutdown.cancel();
    serving.await.unwrap().unwrap();
}

#[tokio::test]
async fn without_a_key_a_listener_that_others_reach_shows_no_log() {
    for (bound, is_open) in [("127.0.0.1:0", true), ("0.0.0.0:0", false)] {
        let listener = TcpListener::bind(bound).await.unwrap();
        let address = ([127, 0, 0, 1], listener.local_addr().unwrap().port()).into();
        let shutdown = CancellationToken::new();
        let serving = tokio::spawn(haul_api::ops::serve(listener, ops(&Readiness::new(), None), shutdown.clone()));
        let get = async |line: &str, headers: &[(&str, &str)]| send(address, &request(line, headers, b"")).await;
        if is_open {
            get("GET /log", &[]).await.expect(200);
        } else {
            get("GET /log", &[]).await.problem(403, "not-local");
        }
        get("GET /log", &[("origin", "https://evil.example")]).await.problem(403, "not-local");
        get("GET /healthz", &[("origin", "https://evil.example")]).await.expect(200);
        shutdown.cancel();
        serving.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn with_an_admin_key_nothing_under_v1_is_served_without_it() {
    let world = World::with(|config| config.admin_key = Some("secret".to_owned().into())).await;
    for line in ["GET /v1/jobs", "POST /v1/jobs", "GET /v1/nope", "DELETE /v1/jobs", "GET /v1", "OPTIONS /v1/jobs"] {
        for headers in [&[][..], &[("authorization", "Bearer wrong")], &[("authorization", "Basic secret")]] {
            let answer = world.send(line, headers, "").await;
            answer.problem(401, "unauthorized");
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        }
    }
    let key = ("authorization", "Bearer secret");
    world.send("GET /v1/jobs", &[key, ("host", "haul.example")], "").await.expect(200);
    world.send("GET /v1/jobs", &[key, key], "").await.problem(401, "unauthorized");
    world.get("/openapi.json").await.expect(200);
}

#[tokio::test]
async fn without_a_key_other_names_and_origins_are_refused() {
    let world = World::new().await;
    for header in [("host", "evil.example"), ("origin", "https://evil.example"), ("origin", "null")] {
        world.send("POST /v1/queues/default/pause", &[header], "").await.problem(403, "not-local");
    }
    let key = None;
    assert!(haul_api::check_exposure("0.0.0.0:8080".parse().unwrap(), key).is_err());
}

#[tokio::test]
async fn a_request_id_is_taken_over_or_made_on_every_answer() {
    let world = World::new().await;
    for path in ["/v1/jobs", "/healthz", "/nope", "/v1/jobs/x"] {
        let answer = world.send(&format!("GET {path}"), &[("x-request-id", "abc-123")], "").await;
        assert_eq!(answer.header("x-request-id"), Some("abc-123"), "{path}");
        let too_long = "x".repeat(129);
        for id in ["", "a b", "<script>", &too_long] {
            let answer = world.send(&format!("GET {path}"), &[("x-request-id", id)], "").await;
            let made = answer.header("x-request-id").unwrap();
            assert!(made.starts_with("req_") && made.len() == 20, "{made}");
        }
    }
}

#[tokio::test]
async fn methods_that_a_path_does_not_take_are_405_and_options_lists_the_others() {
    let world = World::new().await;
    for line in ["DELETE /v1/jobs", "PUT /v1/jobs", "TRACE /v1/jobs", "PATCH /v1/jobs"] {
        let answer = world.send(line, &[], "").await;
        answer.problem(405, "method-not-allowed");
        assert_eq!(answer.header("allow"), Some("POST,GET,HEAD"), "{line}");
    }
    world.get("/v1/jobs/batch").await.problem(405, "method-not-allowed");
    let answer = world.send("OPTIONS /v1/jobs", &[], "").await;
    assert_eq!((answer.status, answer.header("allow")), (204, Some("POST,GET,HEAD,OPTIONS")));
    assert!(answer.body.is_empty() && answer.header("content-type").is_none());
    assert!(answer.header("access-control-allow-origin").is_none());
    world.send("OPTIONS /nope", &[], "").await.problem(404, "not-found");
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    stream.write_all(&request("HEAD /v1/jobs", &[("connection", "close")], b"")).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("\r\n\r\n"), "{answer}");
}

#[tokio::test]
async fn a_connection_outlives_a_problem() {
    let world = World::new().await;
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    let json = ("content-type", "application/json");
    for _ in 0..3 {
        stream.write_all(&request("POST /v1/jobs", &[json], b"{\"kind\":")).await.unwrap();
        read(&mut stream).await.problem(400, "malformed-json");
        stream.write_all(&request("POST /v1/jobs", &[json], b"{\"kind\":\"echo\",\"payload\":1}")).await.unwrap();
        read(&mut stream).await.expect(201);
    }
}

#[tokio::test]
async fn a_head_that_never_ends_is_cut_off() {
    let world = World::with(|config| config.api.header_timeout = haul_core::Span::from_ms(300)).await;
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    stream.write_all(b"GET /v1/jobs HTTP/1.1\r\nhost: loc").await.unwrap();
    let mut rest = Vec::new();
    tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut rest)).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_dispatch_that_hangs_delays_no_answer_and_its_receipts_go_to_repair() {
    let world = World::new().await;
    world.dispatch.hangs.store(true, Ordering::Relaxed);
    let before = Instant::now();
    let id = world.echo().await;
    assert!(before.elapsed() < Duration::from_secs(1));
    until("the receipt", async || world.ledger.released.load(Ordering::Relaxed) == 1).await;
    let receipts = world.ledger.take_receipts(haul_core::ProcessId::random(), 10).await.unwrap();
    assert_eq!(receipts.len(), 1);
    assert_eq!(receipts[0].first.to_string(), id);
    world.end().await;
}

#[tokio::test]
async fn a_full_ticket_buffer_leaves_the_receipt_to_repair() {
    let world = World::with(|config| config.api.ticket_buffer_max = 10).await;
    let jobs: Vec<_> = (0..11).map(|n| json!({"kind": "echo", "payload": n})).collect();
    world.post_json("/v1/jobs/batch", &json!({"jobs": jobs})).await.expect(201);
    until("the receipt", async || world.ledger.released.load(Ordering::Relaxed) == 1).await;
    assert_eq!(world.dispatch.enqueued.load(Ordering::Relaxed), 0);
    world.echo().await;
    until("the ticket", async || world.dispatch.enqueued.load(Ordering::Relaxed) == 1).await;
}

#[tokio::test]
async fn the_end_finishes_what_is_under_way_and_accepts_nothing_new() {
    let world = Arc::new(World::new().await);
    let waited_for = world.echo().await;
    let gate = Arc::new(Semaphore::new(0));
    *world.ledger.accept_gate.lock() = Some(gate.clone());
    let submits: Vec<_> = (0..5)
        .map(|_| {
            tokio::spawn({
                let world = world.clone();
                async move { world.echo().await }
            })
        })
        .collect();
    until("a commit in flight", async || world.ledger.batches.lock().len() >= 2).await;
    let waiting = tokio::spawn({
        let (world, id) = (world.clone(), waited_for.clone());
        async move { world.get(&format!("/v1/jobs/{id}?wait=60s")).await.expect(200) }
    });
    until("somebody waits", async || world.ledger.settled_calls.load(Ordering::Relaxed) > 0).await;
    world.shutdown.cancel();
    until("unready", async || !world.readiness.is_ready()).await;
    assert_eq!(waiting.await.unwrap()["state"], "queued");
    gate.add_permits(100);
    for submit in submits {
        submit.await.unwrap();
    }
    until("the end", async || world.serving.is_finished()).await;
    assert!(TcpStream::connect(world.address).await.is_err());
    assert_eq!(world.dispatch.enqueued.load(Ordering::Relaxed), 6);
}

#[tokio::test]
async fn a_dispatch_that_hangs_does_not_hold_up_the_end() {
    let world = World::new().await;
    world.dispatch.hangs.store(true, Ordering::Relaxed);
    for _ in 0..20 {
        world.echo().await;
    }
    let (ledger, before) = (world.ledger.clone(), Instant::now());
    world.end().await;
    assert!(before.elapsed() < Duration::from_secs(15));
    let batches = ledger.batches.lock().len();
    assert_eq!(ledger.take_receipts(haul_core::ProcessId::random(), 100).await.unwrap().len(), batches);
}
