//! One trace, from the client over the API, the queue and a worker to a third party, as a collector of spans sees it.

use crate::{
    production::on,
    world::{outcome, submit, submit_bulk, text, until, until_all_succeeded},
};
use haul_testkit::{
    collector::{Collector, Span},
    http::{Client, Reply, Request, Sink},
    postgres,
    process::{Command, Haul, haul},
    redis,
};
use serde_json::{Value, json};
use std::{collections::BTreeSet, time::Duration};

const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN_ID: &str = "00f067aa0ba902b7";
const LIMIT: Duration = Duration::from_secs(30);

fn to(collector: &Collector, command: Command) -> Command {
    command.env("HAUL_TRACING_OTLP_URL", &collector.url()).env("HAUL_OUTGOING_ALLOW", "loopback")
}

/// Submits a job under a `traceparent`, and returns its id.
async fn submit_traced(client: &Client, job: &Value, traceparent: &str) -> String {
    let submit = http::Request::post("/v1/jobs").header("content-type", "application/json");
    let submit = submit.header("traceparent", traceparent);
    let answer = client.send(submit, job.to_string().into()).await.expect("an answer");
    assert_eq!(answer.status, 201, "{}", text(&answer));
    answer.json().expect("JSON")["id"].as_str().expect("an id").to_owned()
}

fn call(party: &Sink, path: &str) -> Value {
    let url = format!("{}?token=hush", party.url(path));
    let payload = json!({ "method": "POST", "url": url, "headers": { "x-key": "hush" }, "body": { "say": "hush" } });
    json!({ "kind": "http.request", "payload": payload, "retry": { "base": "10ms" } })
}

/// The spans of a trace, when there are so many.
async fn spans_of(collector: &Collector, trace_id: &str, count: usize) -> Vec<Span> {
    until("its spans have come", LIMIT, || async {
        let mut spans = collector.spans();
        spans.retain(|span| span.trace_id == trace_id);
        spans.sort_by_key(|span| span.began_ns);
        (spans.len() >= count).then_some(spans)
    })
    .await
}

fn of<'s>(spans: &'s [Span], kind: &str) -> Vec<&'s Span> {
    spans.iter().filter(|span| span.kind == kind).collect()
}

/// The ids of trace and span that a third party was called with.
fn told(request: &Request) -> (String, String) {
    let given = request.header("traceparent").expect("a traceparent");
    let parts: Vec<_> = given.split('-').collect();
    assert_eq!((parts.len(), parts[0], parts[3]), (4, "00", "01"), "{given}");
    (parts[1].to_owned(), parts[2].to_owned())
}

async fn ended(haul: &Haul, end: &str) -> u64 {
    let metrics = text(&Client::new(haul.url()).get("/metrics").await.expect("metrics"));
    let begin = format!("haul_spans_total{{end=\"{end}\"}} ");
    let line = metrics.lines().find_map(|line| line.strip_prefix(&begin)).expect("it is there from the beginning");
    line.parse().expect("a number")
}

// The third party and the collector are in this process, and have to answer while others are waited for.
#[tokio::test(flavor = "multi_thread")]
async fn one_trace_leads_from_the_client_over_api_and_worker_to_the_third_party_in_every_attempt() {
    let database = postgres::shared().database();
    let redis = redis::Server::start(&redis::Options::default()).expect("redis");
    let migrated = haul(&["migrate"]).env("DATABASE_URL", &database).run().expect("migrate");
    assert_eq!(migrated.code, Some(0), "{migrated:?}");
    let collector = Collector::start().await.expect("a collector");
    let role = |role| to(&collector, on(&database, &redis.url(), &[role])).env("HAUL_TRACING_SAMPLE_ONE_IN", "0");
    let api = role("api").env("HAUL_TRACING_ENVIRONMENT", "test").start().await.expect("api");
    let _worker = role("worker").start().await.expect("worker");
    let party = Sink::start().await.expect("a third party");
    party.respond("/orders", [Reply::status(503), Reply::status(200)]);

    let given = format!("00-{TRACE_ID}-{SPAN_ID}-01");
    let id = submit_traced(&api.client(), &call(&party, "/orders"), &given).await;
    let job = outcome(&api.client(), &id).await;
    assert_eq!((&job["state"], &job["trace_id"]), (&json!("succeeded"), &json!(TRACE_ID)), "{job}");

    let spans = spans_of(&collector, TRACE_ID, 5).await;
    let (servers, attempts, calls) = (of(&spans, "server"), of(&spans, "consumer"), of(&spans, "client"));
    assert_eq!((servers.len(), attempts.len(), calls.len(), spans.len()), (1, 2, 2, 5), "{spans:#?}");

    let server = servers[0];
    assert_eq!((server.parent.as_str(), server.name.as_str()), (SPAN_ID, "POST /v1/jobs"));
    assert_eq!(server.attributes["http.route"], "/v1/jobs");
    assert_eq!(server.attributes["http.response.status_code"], 201);
    assert_eq!((&server.origin["haul.role"], &server.origin["service.name"]), (&json!("api"), &json!("haul")));
    assert_eq!(server.origin["deployment.environment.name"], "test");
    let requests = party.wait_requests(2, LIMIT).await.expect("both attempts");
    for (n, ((attempt, call), request)) in attempts.iter().zip(&calls).zip(&requests).enumerate() {
        assert_eq!((&attempt.parent, &call.parent), (&server.span_id, &attempt.span_id), "{spans:#?}");
        assert_eq!(told(request), (TRACE_ID.to_owned(), call.span_id.clone()), "what the third party was told");
        let is_first = n == 0;
        assert_eq!(attempt.name, "attempt http.request");
        assert_eq!(attempt.attributes["messaging.message.id"], json!(id));
        assert_eq!(attempt.attributes["messaging.destination.name"], "default");
        assert_eq!(attempt.attributes["haul.attempt"], n + 1);
        assert_eq!(attempt.attributes["haul.outcome"], if is_first { "failed" } else { "succeeded" });
        assert_eq!((attempt.is_error, call.is_error), (is_first, is_first));
        assert_eq!((call.name.as_str(), &call.attributes["server.port"]), ("POST", &json!(party.port())));
        assert_eq!(call.attributes["http.response.status_code"], if is_first { 503 } else { 200 });
        assert_eq!(call.attributes.get("error.type"), is_first.then_some(&json!("503")));
        assert_eq!((&attempt.origin["haul.role"], &call.origin["haul.role"]), (&json!("worker"), &json!("worker")));
        assert!(attempt.began_ns <= call.began_ns && call.began_ns <= call.ended_ns);
        assert!(call.ended_ns <= attempt.ended_ns, "{spans:#?}");
    }
    assert_ne!(server.origin["service.instance.id"], attempts[0].origin["service.instance.id"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_without_a_trace_begins_one_and_what_is_left_at_the_end_is_sent_without_secrets() {
    let (collector, party) = (Collector::start().await.expect("one"), Sink::start().await.expect("a third party"));
    let up = to(&collector, haul(&["up"]))
        .env("HAUL_TRACING_OTLP_HEADERS", "authorization=otlp-token")
        .env("HAUL_SECRET_OTLP_TOKEN", "Bearer hush")
        .env("OTEL_EXPORTER_OTLP_HEADERS", "x-other=1")
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
        .env("OTEL_RESOURCE_ATTRIBUTES", "service.name=other")
        .env("HAUL_LOG_FILTER", "trace");
    let mut up = up.start().await.expect("up");
    let id = submit(&up.client(), call(&party, "/orders")).await;
    let job = outcome(&up.client(), &id).await;
    assert_eq!(job["state"], "succeeded", "{job}");
    // At once: nothing that its last second has left behind is lost.
    up.signal("TERM").expect("signal");
    assert_eq!(up.wait_exit(LIMIT).expect("exit").code, 0);

    let trace_id = job["trace_id"].as_str().expect("a trace").to_owned();
    let mut spans = collector.spans();
    spans.retain(|span| span.trace_id == trace_id);
    let [server] = of(&spans, "server")[..] else { panic!("{spans:#?}") };
    let [attempt] = of(&spans, "consumer")[..] else { panic!("{spans:#?}") };
    let [call] = of(&spans, "client")[..] else { panic!("{spans:#?}") };
    assert_eq!(server.parent, "");
    assert_eq!((&attempt.parent, &call.parent), (&server.span_id, &attempt.span_id));
    assert_eq!(told(&party.requests()[0]), (trace_id, call.span_id.clone()));
    assert_eq!(server.origin["service.name"], "haul");

    for request in collector.requests() {
        assert_eq!((request.header("authorization"), request.header("x-other")), (Some("Bearer hush"), None));
        let body = String::from_utf8_lossy(&request.body);
        assert!(!body.contains("hush") && !body.contains("/orders"), "{body}");
    }
    assert!(up.output().iter().all(|line| !line.contains("Bearer hush")));
}

#[tokio::test(flavor = "multi_thread")]
async fn deliveries_of_an_event_are_of_its_trace_one_step_below_it() {
    let (collector, party) = (Collector::start().await.expect("one"), Sink::start().await.expect("a receiver"));
    let up = to(&collector, haul(&["up"])).env("HAUL_TRACING_SAMPLE_ONE_IN", "0").start().await.expect("up");
    let client = up.client();
    let made = client.post("/v1/endpoints", &json!({ "url": party.url("/hook") })).await.expect("an answer");
    assert_eq!(made.status, 201, "{}", text(&made));
    let event = http::Request::post("/v1/events").header("content-type", "application/json");
    let event = event.header("traceparent", format!("00-{TRACE_ID}-{SPAN_ID}-01"));
    let answer = client.send(event, json!({ "type": "a.b", "data": 1 }).to_string().into()).await.expect("an answer");
    assert_eq!(answer.status, 201, "{}", text(&answer));
    let requests = party.wait_requests(1, LIMIT).await.expect("the delivery");

    let spans = spans_of(&collector, TRACE_ID, 4).await;
    let [event, delivery] = of(&spans, "consumer")[..] else { panic!("{spans:#?}") };
    let ([server], [call]) = (&of(&spans, "server")[..], &of(&spans, "client")[..]) else { panic!("{spans:#?}") };
    assert_eq!((&server.parent[..], &event.parent, &delivery.parent), (SPAN_ID, &server.span_id, &event.span_id));
    assert_eq!((&delivery.attributes["haul.kind"], &call.parent), (&json!("webhook.deliver"), &delivery.span_id));
    assert_eq!(told(&requests[0]), (TRACE_ID.to_owned(), call.span_id.clone()));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_in_a_process_of_its_own_is_in_the_trace_with_its_calls() {
    let (collector, party) = (Collector::start().await.expect("one"), Sink::start().await.expect("a third party"));
    let up = to(&collector, haul(&["up"])).env("HAUL_TRACING_SAMPLE_ONE_IN", "0").env("HAUL_WORKER_LEASE", "2s");
    let mut up = up.start().await.expect("up");
    party.respond("/orders", [Reply::hang(), Reply::status(200)]);
    let given = format!("00-{TRACE_ID}-{SPAN_ID}-01");
    let id = submit_traced(&up.client(), &call(&party, "/orders"), &given).await;
    party.wait_requests(1, LIMIT).await.expect("the first attempt");
    spans_of(&collector, TRACE_ID, 1).await;
    // Nobody can tell whether it has died of the job: this one runs alone.
    up.kill().expect("kill -9");
    up.restart().expect("it starts again");
    up.wait_ready().await.expect("it is ready");
    assert_eq!(outcome(&up.client(), &id).await["state"], "succeeded");

    let spans = spans_of(&collector, TRACE_ID, 3).await;
    let [server] = of(&spans, "server")[..] else { panic!("{spans:#?}") };
    let [attempt] = of(&spans, "consumer")[..] else { panic!("{spans:#?}") };
    let [call] = of(&spans, "client")[..] else { panic!("{spans:#?}") };
    assert_eq!((&attempt.parent, &call.parent), (&server.span_id, &attempt.span_id));
    assert_eq!((&attempt.origin["haul.role"], &call.origin["haul.role"]), (&json!("up"), &json!("suspects")));
    assert_eq!(told(&party.requests()[1]).1, call.span_id);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_the_clients_have_sampled_is_exported_when_nothing_else_is_to_be() {
    let (collector, party) = (Collector::start().await.expect("one"), Sink::start().await.expect("a third party"));
    let up = to(&collector, haul(&["up"])).env("HAUL_TRACING_SAMPLE_ONE_IN", "0").start().await.expect("up");
    let client = up.client();
    let untraced = submit(&client, call(&party, "/untraced")).await;
    assert_eq!(outcome(&client, &untraced).await.get("trace_id"), None);
    let unsampled = format!("00-{}-{SPAN_ID}-00", "a".repeat(32));
    let unsampled = submit_traced(&client, &call(&party, "/unsampled"), &unsampled).await;
    assert_eq!(outcome(&client, &unsampled).await["trace_id"], "a".repeat(32), "it is carried all the same");
    let requests = party.wait_requests(2, LIMIT).await.expect("both");
    assert_eq!(requests[0].header("traceparent"), None);
    assert!(requests[1].header("traceparent").expect("a traceparent").ends_with("-00"));

    let sampled = format!("00-{TRACE_ID}-{SPAN_ID}-01");
    let sampled = submit_traced(&client, &call(&party, "/sampled"), &sampled).await;
    outcome(&client, &sampled).await;
    // The last: what ended before is there as well.
    let spans = spans_of(&collector, TRACE_ID, 3).await;
    assert_eq!((spans.len(), collector.spans().len()), (3, 3), "{:#?}", collector.spans());
    until("they are counted", LIMIT, || async { (ended(&up, "exported").await == 3).then_some(()) }).await;
    assert_eq!((ended(&up, "failed").await, ended(&up, "dropped").await), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_hangs_refuses_or_is_gone_costs_spans_and_nothing_else() {
    let collector = Collector::start().await.expect("a collector");
    collector.refuse(Some(Reply::hang()));
    let up = to(&collector, haul(&["up"])).env("HAUL_TRACING_OTLP_TIMEOUT", "2s").start().await.expect("up");
    let client = up.client();
    let mut ids = BTreeSet::new();
    while ended(&up, "dropped").await == 0 {
        assert!(ids.len() < 40_000, "all of their spans may wait, it seems");
        ids.extend(submit_bulk(&client, (0..2_000).map(|n| json!({ "kind": "echo", "payload": n }))).await);
    }
    until_all_succeeded(&client, &ids, Duration::from_secs(60)).await;
    up.wait_output("spans do not reach the collector", LIMIT).expect("it says so");
    assert_eq!(ended(&up, "exported").await, 0);

    for refusal in [Reply::status(400), Reply::status(503).retry_after(1), Reply::status(429), Reply::hang_up()] {
        collector.refuse(Some(refusal));
        let before = ended(&up, "failed").await;
        let id = submit(&client, json!({ "kind": "echo", "payload": 1 })).await;
        assert_eq!(outcome(&client, &id).await["state"], "succeeded");
        until("it is counted", LIMIT, || async { (ended(&up, "failed").await > before).then_some(()) }).await;
    }

    collector.refuse(None);
    let id = submit(&client, json!({ "kind": "echo", "payload": 1 })).await;
    let trace_id = outcome(&client, &id).await["trace_id"].as_str().expect("a trace").to_owned();
    spans_of(&collector, &trace_id, 2).await;
    up.wait_output("spans reach the collector again", LIMIT).expect("it says so");
    let complaints = up.output().into_iter().filter(|line| line.contains("spans do not reach")).count();
    assert_eq!(complaints, 1, "once, until it is over");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_hands_its_callers_trace_on() {
    let up = haul(&["up"]).start().await.expect("up");
    let command = haul(&["submit", "echo", "1", "--json"]).env("HAUL_URL", up.url());
    let submitted = |command: Command| {
        let finished = command.run().expect("it runs");
        assert_eq!(finished.code, Some(0), "{finished:?}");
        serde_json::from_str::<Value>(&finished.stdout).expect("JSON")
    };
    let malformed = submitted(command.clone().env("TRACEPARENT", "malformed"));
    assert_eq!(malformed.get("trace_id"), None);
    let traced = submitted(command.env("TRACEPARENT", &format!("00-{TRACE_ID}-{SPAN_ID}-01")));
    assert_eq!(traced["trace_id"], TRACE_ID);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_ends_in_time_though_its_collector_hangs() {
    let collector = Collector::start().await.expect("a collector");
    collector.refuse(Some(Reply::hang()));
    let mut up = to(&collector, haul(&["up"])).start().await.expect("up");
    outcome(&up.client(), &submit(&up.client(), json!({ "kind": "echo", "payload": 1 })).await).await;
    up.signal("TERM").expect("signal");
    assert_eq!(up.wait_exit(Duration::from_secs(10)).expect("it ends").code, 0);
    assert!(up.output().iter().any(|line| line.contains("the last spans could not be sent")), "{:?}", up.output());
}
