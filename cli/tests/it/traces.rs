//! One trace, from the client over the API, the queue and a worker to a third party.

use crate::{
    production::on,
    world::{outcome, text},
};
use haul_testkit::{
    http::{Reply, Sink},
    postgres,
    process::haul,
    redis,
};
use serde_json::json;
use std::time::Duration;

const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN_ID: &str = "00f067aa0ba902b7";

// The third party is in this process, and has to answer while others are waited for.
#[tokio::test(flavor = "multi_thread")]
async fn a_third_party_is_called_within_the_trace_of_the_submit_in_every_attempt() {
    let database = postgres::shared().database();
    let redis = redis::Server::start(&redis::Options::default()).expect("redis");
    let migrated = haul(&["migrate"]).env("DATABASE_URL", &database).run().expect("migrate");
    assert_eq!(migrated.code, Some(0), "{migrated:?}");
    let role = |role| on(&database, &redis.url(), &[role]).env("HAUL_OUTGOING_ALLOW", "loopback");
    let api = role("api").start().await.expect("api");
    let _worker = role("worker").start().await.expect("worker");
    let party = Sink::start().await.expect("a third party");
    party.respond("/orders", [Reply::status(503), Reply::status(200)]);

    let job = json!({ "kind": "http.request", "payload": { "method": "GET", "url": party.url("/orders") },
        "retry": { "base": "10ms" } });
    let submit = http::Request::post("/v1/jobs")
        .header("content-type", "application/json")
        .header("traceparent", format!("00-{TRACE_ID}-{SPAN_ID}-01"));
    let answer = api.client().send(submit, job.to_string().into()).await.expect("an answer");
    assert_eq!(answer.status, 201, "{}", text(&answer));
    let id = answer.json().expect("JSON")["id"].as_str().expect("an id").to_owned();
    let job = outcome(&api.client(), &id).await;
    assert_eq!((&job["state"], &job["trace_id"]), (&json!("succeeded"), &json!(TRACE_ID)), "{job}");

    let calls = party.wait_requests(2, Duration::from_secs(10)).await.expect("both attempts");
    let mut spans = vec![SPAN_ID.to_owned()];
    for call in &calls {
        let given = call.header("traceparent").expect("a traceparent").to_owned();
        let parts: Vec<_> = given.split('-').collect();
        assert_eq!((parts[0], parts[1], parts[3]), ("00", TRACE_ID, "01"), "{given}");
        assert!(!spans.contains(&parts[2].to_owned()), "a span of its own: {given}");
        spans.push(parts[2].to_owned());
    }
}
