//! Events against real, small HTTP servers that check signatures with Standard Webhooks' own library.

use crate::world::{World, quick};
use haul_core::{
    Endpoints, FinalState, JobId, Tenant, Timestamp,
    endpoints::{Created, Disabled, Endpoint, EndpointId, EndpointSettings, Keyring, NewEndpoint, SigningKey},
    ledger::Filter,
    outcome::JobRecord,
};
use haul_testkit::{
    http::{Reply, Request, Sink},
    wait,
};
use serde_json::{Value, json};
use standardwebhooks::Webhook;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(30);

fn event(event_type: &str) -> Value {
    json!({ "type": event_type, "timestamp": "2026-11-22T09:00:00.000Z", "data": { "amount": 4200, "note": "é\u{1}" } })
}

async fn endpoint(world: &World, url: String, events: &[&str], keys: Keyring) -> Endpoint {
    let events = events.iter().map(|wanted| wanted.parse().unwrap()).collect();
    let settings = EndpointSettings { url, description: String::new(), events };
    let id = EndpointId::new(&haul_core::Clock::new());
    let new = NewEndpoint { id, tenant: Tenant::default(), settings, keys };
    match world.ledger.create(&new).await.unwrap() {
        Created::New(endpoint) => endpoint,
        Created::TooMany => unreachable!("there are few"),
    }
}

/// The deliveries that an event became, newest first.
async fn deliveries(world: &World) -> Vec<JobRecord> {
    let filter = Filter { kind: Some("webhook.deliver".parse().unwrap()), ..Filter::default() };
    haul_core::Ledger::list(&*world.ledger, &Tenant::default(), &filter, None, 100).await.unwrap().jobs
}

async fn emit(world: &World, event_type: &str) -> JobId {
    let id = world.submit("webhook.event", &event(event_type), quick(3)).await;
    world.succeeded(id).await;
    id
}

/// What arrived at a path.
fn at(sink: &Sink, path: &str) -> Vec<Request> {
    sink.requests().into_iter().filter(|request| request.path == path).collect()
}

/// Checks what arrived as a receiver does.
fn verify(secret: &SigningKey, seen: &Request, body: &[u8]) -> bool {
    let mut headers = http::HeaderMap::new();
    for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        headers.insert(name, seen.header(name).expect("it is signed").parse().unwrap());
    }
    Webhook::new(&secret.reveal()).unwrap().verify(body, &headers).is_ok()
}

#[tokio::test]
async fn every_delivery_passes_the_check_of_standard_webhooks_and_a_changed_one_does_not() {
    let (world, sink) = (World::start().await, Sink::start().await.unwrap());
    let [old, new] = [SigningKey::random(), SigningKey::random()];
    let now = haul_core::Clock::new().now();
    let keys = Keyring::new(old.clone()).rotated(new.clone(), now, Duration::from_secs(3_600));
    endpoint(&world, sink.url("/hook"), &[], keys).await;
    let mut events = Vec::new();
    for n in 0..10 {
        events.push(emit(&world, &format!("invoice.n{n}")).await);
    }
    let seen = wait::until("ten deliveries", LIMIT, async || {
        let seen = at(&sink, "/hook");
        (seen.len() == 10).then_some(seen)
    })
    .await;
    for seen in &seen {
        for key in [&old, &new] {
            assert!(verify(key, seen, &seen.body), "both keys are valid while they are exchanged");
            let mut changed = seen.body.to_vec();
            *changed.last_mut().unwrap() = b' ';
            assert!(!verify(key, seen, &changed), "a changed body is refused");
        }
        assert!(!verify(&SigningKey::random(), seen, &seen.body), "another's key refuses it");
    }
    let mut ids: Vec<String> = seen.iter().map(|seen| seen.header("webhook-id").unwrap().to_owned()).collect();
    let mut expected: Vec<String> = events.iter().map(|event| format!("msg_{}", event.0.simple())).collect();
    ids.sort();
    expected.sort();
    assert_eq!(ids, expected, "a delivery is known by its event");
    world.end().await;
}

#[tokio::test]
async fn an_event_goes_to_everyone_who_wants_it_and_to_nobody_else() {
    let (world, sink) = (World::start().await, Sink::start().await.unwrap());
    let keys = || Keyring::new(SigningKey::random());
    for (path, events) in [("/all", &[][..]), ("/paid", &["invoice.paid"]), ("/below", &["a.b", "invoice.*"])] {
        endpoint(&world, sink.url(path), events, keys()).await;
    }
    endpoint(&world, sink.url("/other"), &["customer.*"], keys()).await;
    let off = endpoint(&world, sink.url("/off"), &[], keys()).await;
    let (tenant, id, version) = (off.tenant, off.id, off.version);
    let edit = haul_core::endpoints::Edit {
        tenant,
        id,
        version,
        settings: off.settings,
        keys: off.keys,
        disabled: Some(Disabled::Owner),
    };
    world.ledger.edit(&edit).await.unwrap();
    let id = world.submit("webhook.event", &event("invoice.paid"), quick(3)).await;
    assert_eq!(world.succeeded(id).await, json!({ "deliveries": 3 }));
    for delivery in deliveries(&world).await {
        assert_eq!(world.succeeded(delivery.job.id).await["status"], 200);
    }
    for (path, times) in [("/all", 1), ("/paid", 1), ("/below", 1), ("/other", 0), ("/off", 0)] {
        let seen = at(&sink, path);
        assert_eq!(seen.len(), times, "{path}");
        for seen in seen {
            let body: Value = serde_json::from_slice(&seen.body).unwrap();
            assert_eq!(body, event("invoice.paid"));
        }
    }
    world.end().await;
}

#[tokio::test]
async fn a_delivery_is_tried_again_under_the_same_id_and_tells_what_it_met() {
    let (world, sink) = (World::start().await, Sink::start().await.unwrap());
    sink.respond("/hook", [Reply::status(503).body("come back"), Reply::status(204)]);
    let endpoint = endpoint(&world, sink.url("/hook"), &[], Keyring::new(SigningKey::random())).await;
    emit(&world, "invoice.paid").await;
    let delivery = deliveries(&world).await.remove(0);
    assert_eq!(delivery.job.options.tags["haul.endpoint"], endpoint.id.to_string());
    let failed = wait::until("a failure", LIMIT, async || world.look(delivery.job.id).await.failures.pop()).await;
    assert_eq!(failed.error.message, "the endpoint answered 503 Service Unavailable");
    let met: Value = serde_json::from_str(failed.error.detail.as_deref().unwrap()).unwrap();
    assert_eq!((&met["status"], &met["answer"]), (&json!(503), &json!("come back")));
    assert!(met["latency_ms"].is_u64());
    let failing = world.ledger.get(&Tenant::default(), endpoint.id).await.unwrap().unwrap();
    assert!(failing.failing_since.is_some() && failing.disabled.is_none());

    assert_eq!(world.succeeded(delivery.job.id).await["status"], 204);
    let seen = at(&sink, "/hook");
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[0].header("webhook-id"), seen[1].header("webhook-id"));
    assert_eq!(seen[0].body, seen[1].body);
    let healed = world.ledger.get(&Tenant::default(), endpoint.id).await.unwrap().unwrap();
    assert_eq!(healed.failing_since, None, "a success ends the time of failing");
    world.end().await;
}

#[tokio::test]
async fn an_endpoint_that_is_gone_gets_nothing_any_more() {
    let (world, sink) = (World::start().await, Sink::start().await.unwrap());
    sink.respond("/hook", [Reply::status(410)]);
    let endpoint = endpoint(&world, sink.url("/hook"), &[], Keyring::new(SigningKey::random())).await;
    emit(&world, "a.b").await;
    let delivery = deliveries(&world).await.remove(0).job.id;
    assert_eq!(world.died(delivery).await, (1, "the endpoint answered 410 Gone".to_owned()));
    let gone = world.ledger.get(&Tenant::default(), endpoint.id).await.unwrap().unwrap();
    assert_eq!(gone.disabled, Some(Disabled::Gone));
    let second = world.submit("webhook.event", &event("a.b"), quick(1)).await;
    assert_eq!(world.succeeded(second).await, json!({ "deliveries": 0 }));
    assert_eq!(at(&sink, "/hook").len(), 1);
    world.end().await;
}

#[tokio::test]
async fn a_forbidden_place_gets_nothing_and_the_reason_is_told() {
    let world = World::start().await;
    endpoint(&world, "http://169.254.169.254/latest".to_owned(), &[], Keyring::new(SigningKey::random())).await;
    emit(&world, "a.b").await;
    let delivery = deliveries(&world).await.remove(0).job.id;
    let failed = wait::until("a failure", LIMIT, async || world.look(delivery).await.failures.pop()).await;
    assert!(failed.error.message.contains("169.254.169.254"), "{}", failed.error.message);
    world.end().await;
}

#[tokio::test]
async fn a_replay_makes_the_deliveries_of_a_time_again() {
    let (world, sink) = (World::start().await, Sink::start().await.unwrap());
    let hooked = endpoint(&world, sink.url("/hook"), &["a.*"], Keyring::new(SigningKey::random())).await;
    endpoint(&world, sink.url("/other"), &["a.*"], Keyring::new(SigningKey::random())).await;
    for n in 0..3 {
        emit(&world, &format!("a.n{n}")).await;
    }
    let first = deliveries(&world).await;
    assert_eq!(first.len(), 6);
    for delivery in &first {
        world.succeeded(delivery.job.id).await;
    }
    let until = haul_core::Clock::new().now().plus(Duration::from_secs(60));
    let replay =
        |state: &str| json!({ "endpoint": hooked.id, "since": Timestamp::from_ms(0), "until": until, "state": state });
    let nothing = world.submit("webhook.replay", &replay("dead"), quick(3)).await;
    assert_eq!(world.succeeded(nothing).await, json!({ "deliveries": 0, "more": false }));
    let all = world.submit("webhook.replay", &replay("succeeded"), quick(3)).await;
    assert_eq!(world.succeeded(all).await, json!({ "deliveries": 3, "more": false }));
    for delivery in deliveries(&world).await {
        assert_eq!(world.outcome(delivery.job.id).await.state, FinalState::Succeeded);
    }
    assert_eq!((at(&sink, "/hook").len(), at(&sink, "/other").len()), (6, 3));
    let ids: std::collections::BTreeSet<_> =
        at(&sink, "/hook").iter().map(|seen| seen.header("webhook-id").unwrap().to_owned()).collect();
    assert_eq!(ids.len(), 3, "a receiver knows an event that it has had");
    world.end().await;
}
