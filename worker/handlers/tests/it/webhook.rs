//! Events against a real receiver that checks signatures with Standard Webhooks' own library.

use crate::world::{World, quick};
use bytes::Bytes;
use haul_core::{
    Endpoints, FinalState, JobId, Tenant, Timestamp,
    endpoints::{Created, Disabled, Endpoint, EndpointId, EndpointSettings, Keyring, NewEndpoint, SigningKey},
    ledger::Filter,
    outcome::JobRecord,
};
use haul_parties::receiver::{Arrival, Behaviour, Hook, Mood, Receiver, Verdict};
use haul_testkit::{http::Client, wait};
use serde_json::{Value, json};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(30);

fn event(event_type: &str) -> Value {
    json!({ "type": event_type, "timestamp": "2026-11-22T09:00:00.000Z", "data": { "amount": 4200, "note": "é\u{1}" } })
}

async fn endpoint(world: &World, hook: &Hook, events: &[&str], keys: Keyring) -> Endpoint {
    endpoint_at(world, hook.url(), events, keys).await
}

async fn endpoint_at(world: &World, url: &str, events: &[&str], keys: Keyring) -> Endpoint {
    let events = events.iter().map(|wanted| wanted.parse().unwrap()).collect();
    let settings = EndpointSettings { url: url.to_owned(), description: String::new(), events };
    let id = EndpointId::new(&haul_core::Clock::new());
    let new = NewEndpoint { id, tenant: Tenant::default(), settings, keys, idempotency: None };
    match world.ledger.create(&new).await.unwrap() {
        Created::New(endpoint) => endpoint,
        refused => panic!("it is not created: {refused:?}"),
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

/// A hook that checks what comes, and the ring that its deliveries are signed with.
fn hook(receiver: &Receiver, path: &str) -> (Hook, Keyring) {
    let (hook, key) = (receiver.hook(path), SigningKey::random());
    hook.trust([key.reveal()]).unwrap();
    (hook, Keyring::new(key))
}

/// Sends again what arrived, with another body. Gives the status of the answer.
async fn send_changed(receiver: &Receiver, seen: &Arrival, body: Bytes) -> u16 {
    let request = http::Request::post("/hook")
        .header("webhook-id", &seen.id)
        .header("webhook-timestamp", &seen.timestamp)
        .header("webhook-signature", &seen.signature);
    let client = Client::new(&format!("http://127.0.0.1:{}", receiver.port()));
    client.send(request, body).await.unwrap().status
}

#[tokio::test]
async fn every_delivery_passes_the_check_of_standard_webhooks_and_a_changed_one_does_not() {
    let (world, receiver) = (World::start().await, Receiver::start().await.unwrap());
    let hook = receiver.hook("/hook");
    let [old, new] = [SigningKey::random(), SigningKey::random()];
    let now = haul_core::Clock::new().now();
    let keys = Keyring::new(old.clone()).rotated(new.clone(), now, Duration::from_secs(3_600));
    endpoint(&world, &hook, &[], keys).await;
    let mut events = Vec::new();
    for (n, key) in [&old, &new].into_iter().cycle().take(10).enumerate() {
        hook.trust([key.reveal()]).unwrap();
        events.push(emit(&world, &format!("invoice.n{n}")).await);
        let enough = u64::try_from(n).unwrap() + 1;
        // Both keys are valid while they are exchanged.
        hook.wait(LIMIT, |books| books.accepted() == enough).await.unwrap();
    }
    let books = hook.books();
    for seen in &books.arrivals {
        assert_eq!(send_changed(&receiver, seen, seen.body.clone()).await, 204, "the same again is a duplicate");
        let changed = [&seen.body[..seen.body.len() - 1], b" "].concat();
        assert_eq!(send_changed(&receiver, seen, changed.into()).await, 401, "a changed body is refused");
    }
    hook.trust([SigningKey::random().reveal()]).unwrap();
    let seen = &books.arrivals[0];
    assert_eq!(send_changed(&receiver, seen, seen.body.clone()).await, 401, "another's key refuses it");
    assert_eq!((hook.books().duplicates(), hook.books().refused()), (10, 11));
    let mut ids: Vec<String> = books.arrivals.iter().map(|seen| seen.id.clone()).collect();
    let mut expected: Vec<String> = events.iter().map(|event| format!("msg_{}", event.0.simple())).collect();
    ids.sort();
    expected.sort();
    assert_eq!(ids, expected, "a delivery is known by its event");
    world.end().await;
}

#[tokio::test]
async fn an_event_goes_to_everyone_who_wants_it_and_to_nobody_else() {
    let (world, receiver) = (World::start().await, Receiver::start().await.unwrap());
    let wanted = [("/all", &[][..]), ("/paid", &["invoice.paid"]), ("/below", &["a.b", "invoice.*"])];
    for (path, events) in wanted.into_iter().chain([("/other", &["customer.*"][..])]) {
        let (hook, keys) = hook(&receiver, path);
        endpoint(&world, &hook, events, keys).await;
    }
    let (off, keys) = hook(&receiver, "/off");
    let off = endpoint(&world, &off, &[], keys).await;
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
        assert_eq!(world.succeeded(delivery.job.id).await["status"], 204);
    }
    for (path, times) in [("/all", 1), ("/paid", 1), ("/below", 1), ("/other", 0), ("/off", 0)] {
        let books = receiver.hook(path).books();
        assert_eq!((books.accepted(), books.arrivals.len()), (times, usize::try_from(times).unwrap()), "{path}");
        for seen in books.arrivals {
            let body: Value = serde_json::from_slice(&seen.body).unwrap();
            assert_eq!(body, event("invoice.paid"));
        }
    }
    world.end().await;
}

#[tokio::test]
async fn a_delivery_is_tried_again_under_the_same_id_and_tells_what_it_met() {
    let (world, receiver) = (World::start().await, Receiver::start().await.unwrap());
    let (hook, keys) = hook(&receiver, "/hook");
    hook.next([Behaviour::Fail, Behaviour::HangUp]);
    let endpoint = endpoint(&world, &hook, &[], keys).await;
    emit(&world, "invoice.paid").await;
    let delivery = deliveries(&world).await.remove(0);
    assert_eq!(delivery.job.options.tags["haul.endpoint"], endpoint.id.to_string());
    let failed = async || world.look(delivery.job.id).await.failures.into_iter().next();
    let failed = wait::until("a failure", LIMIT, failed).await;
    assert_eq!(failed.error.message, "the endpoint answered 500 Internal Server Error");
    let met: Value = serde_json::from_str(failed.error.detail.as_deref().unwrap()).unwrap();
    assert_eq!((&met["status"], &met["answer"]), (&json!(500), &json!("out of order")));
    assert!(met["latency_ms"].is_u64());

    assert_eq!(world.succeeded(delivery.job.id).await["status"], 204);
    let books = hook.books();
    let verdicts: Vec<Verdict> = books.arrivals.iter().map(|seen| seen.verdict).collect();
    // It was taken by a receiver that hung up: nobody but the receiver can know, so it comes again.
    assert_eq!(verdicts, [Verdict::TurnedAway, Verdict::Accepted, Verdict::Duplicate]);
    for seen in &books.arrivals {
        assert_eq!((&seen.id, &seen.body), (&books.arrivals[0].id, &books.arrivals[0].body));
    }
    let healed = world.ledger.get(&Tenant::default(), endpoint.id).await.unwrap().unwrap();
    assert_eq!(healed.failing_since, None, "a success ends the time of failing");
    world.end().await;
}

#[tokio::test]
async fn an_endpoint_that_fails_counts_as_failing_and_is_not_disabled_at_once() {
    let (world, receiver) = (World::start().await, Receiver::start().await.unwrap());
    let (hook, keys) = hook(&receiver, "/hook");
    hook.mood(Mood::always(Behaviour::Fail));
    let endpoint = endpoint(&world, &hook, &[], keys).await;
    emit(&world, "invoice.paid").await;
    let failing = async || {
        let found = world.ledger.get(&Tenant::default(), endpoint.id).await.unwrap().unwrap();
        found.failing_since.is_some().then_some(found)
    };
    let failing = wait::until("a failing endpoint", LIMIT, failing).await;
    assert_eq!(failing.disabled, None);
    hook.mood(Mood::good());
    hook.wait(LIMIT, |books| books.accepted() == 1).await.unwrap();
    world.end().await;
}

#[tokio::test]
async fn an_endpoint_that_is_gone_gets_nothing_any_more() {
    let (world, receiver) = (World::start().await, Receiver::start().await.unwrap());
    let (hook, keys) = hook(&receiver, "/hook");
    hook.mood(Mood::always(Behaviour::Gone));
    let endpoint = endpoint(&world, &hook, &[], keys).await;
    emit(&world, "a.b").await;
    let delivery = deliveries(&world).await.remove(0).job.id;
    assert_eq!(world.died(delivery).await, (1, "the endpoint answered 410 Gone".to_owned()));
    let gone = world.ledger.get(&Tenant::default(), endpoint.id).await.unwrap().unwrap();
    assert_eq!(gone.disabled, Some(Disabled::Gone));
    let second = world.submit("webhook.event", &event("a.b"), quick(1)).await;
    assert_eq!(world.succeeded(second).await, json!({ "deliveries": 0 }));
    assert_eq!(hook.books().turned_away(), 1);
    world.end().await;
}

#[tokio::test]
async fn a_forbidden_place_gets_nothing_and_the_reason_is_told() {
    let world = World::start().await;
    endpoint_at(&world, "http://169.254.169.254/latest", &[], Keyring::new(SigningKey::random())).await;
    emit(&world, "a.b").await;
    let delivery = deliveries(&world).await.remove(0).job.id;
    let failed = wait::until("a failure", LIMIT, async || world.look(delivery).await.failures.pop()).await;
    assert!(failed.error.message.contains("169.254.169.254"), "{}", failed.error.message);
    world.end().await;
}

#[tokio::test]
async fn a_replay_makes_the_deliveries_of_a_time_again() {
    let (world, receiver) = (World::start().await, Receiver::start().await.unwrap());
    let [(replayed, keys), (other, others)] = ["/hook", "/other"].map(|path| hook(&receiver, path));
    let hooked = endpoint(&world, &replayed, &["a.*"], keys).await;
    endpoint(&world, &other, &["a.*"], others).await;
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
    // A receiver knows an event that it has had.
    assert_eq!((replayed.books().accepted(), replayed.books().duplicates()), (3, 3));
    assert_eq!((other.books().accepted(), other.books().duplicates()), (3, 0));
    world.end().await;
}
