//! Endpoints and events over HTTP.

use crate::{client::Answer, world::World};
use haul_core::{JobError, ledger::Entry};
use serde_json::{Value, json};

async fn create(world: &World, body: &Value) -> (Value, String) {
    let answer = world.post_json("/v1/endpoints", body).await;
    let etag = answer.header("etag").expect("a tag").to_owned();
    (answer.expect(201), etag)
}

async fn change(world: &World, id: &str, etag: &str, body: &Value) -> Answer {
    let headers = [("content-type", "application/json"), ("if-match", etag)];
    world.send(&format!("PATCH /v1/endpoints/{id}"), &headers, body.to_string()).await
}

fn id_of(endpoint: &Value) -> &str {
    endpoint["id"].as_str().expect("an id")
}

/// What must have been answered, with its body.
fn payload_of(job: &Value) -> &Value {
    &job["payload"]
}

#[tokio::test]
async fn an_endpoint_lives_its_life_and_shows_its_secret_once() {
    let world = World::new().await;
    let wish =
        json!({"url": "https://example.com/hooks?token=a", "description": "billing", "events": ["invoice.*", "a"]});
    let answer = world.post_json("/v1/endpoints", &wish).await;
    let created = answer.json();
    assert_eq!(answer.status, 201);
    assert_eq!(answer.header("location"), Some(&*format!("/v1/endpoints/{}", id_of(&created))));
    let secret = created["secret"].as_str().expect("the secret").to_owned();
    assert!(secret.starts_with("whsec_"));
    let read = world.get(&format!("/v1/endpoints/{}", id_of(&created))).await;
    assert_eq!(read.header("etag"), answer.header("etag"));
    let shown = read.expect(200);
    assert_eq!(shown.get("secret"), None, "it is shown once");
    for (field, value) in wish.as_object().unwrap() {
        assert_eq!(&shown[field], value, "{field}");
    }
    assert_eq!((&shown["enabled"], &shown["disabled"]), (&json!(true), &json!(null)));
    let list = world.get("/v1/endpoints").await;
    assert!(!list.text().contains(&secret));
    assert_eq!(list.expect(200)["data"], json!([shown]));

    let path = format!("/v1/endpoints/{}", id_of(&created));
    assert_eq!(world.send(&format!("DELETE {path}"), &[], "").await.status, 204);
    world.get(&path).await.problem(404, "endpoint-not-found");
    world.send(&format!("DELETE {path}"), &[], "").await.problem(404, "endpoint-not-found");
    assert_eq!(world.get("/v1/endpoints").await.expect(200)["data"], json!([]));
}

#[tokio::test]
async fn a_change_names_the_version_that_it_is_a_change_of() {
    let world = World::new().await;
    let (endpoint, etag) = create(&world, &json!({"url": "https://example.com/"})).await;
    let id = id_of(&endpoint);
    let body = json!({"enabled": false, "description": "off"});
    let path = format!("PATCH /v1/endpoints/{id}");
    let without = world.send(&path, &[("content-type", "application/json")], body.to_string()).await;
    without.problem(428, "precondition-required");
    let changed = change(&world, id, &etag, &body).await;
    let newer = changed.header("etag").unwrap().to_owned();
    let changed = changed.expect(200);
    assert_eq!((&changed["enabled"], &changed["disabled"]), (&json!(false), &json!("owner")));
    assert_eq!(changed["url"], "https://example.com/", "what is not given stays");
    change(&world, id, &etag, &json!({"enabled": true})).await.problem(412, "endpoint-changed");
    assert_eq!(change(&world, id, &newer, &json!({"enabled": true})).await.expect(200)["enabled"], true);
}

#[tokio::test]
async fn a_new_secret_leaves_the_old_one_good_for_a_while() {
    let world = World::new().await;
    let (endpoint, _) = create(&world, &json!({"url": "https://example.com/"})).await;
    let path = format!("/v1/endpoints/{}/rotate", id_of(&endpoint));
    let rotated = world.post(&path).await.expect(200);
    assert_ne!(rotated["secret"], endpoint["secret"]);
    assert!(rotated["overlap_ends_at"].is_string(), "{rotated}");
    let ended = world.post_json(&path, &json!({"overlap": "0s"})).await.expect(200);
    assert_eq!(ended["overlap_ends_at"], json!(null));
    world.post_json(&path, &json!({"overlap": "1year"})).await.problem(422, "invalid-request");
    world.post_json(&path, &json!({"overlaps": "1s"})).await.problem(422, "invalid-request");
}

#[tokio::test]
async fn what_is_no_endpoint_is_refused_and_a_url_is_never_echoed() {
    let world = World::new().await;
    for (body, pointer) in [
        (json!({}), "/url"),
        (json!({"url": 7}), "/url"),
        (json!({"url": "http://forbidden.example/?secret=s3cr3t"}), "/url"),
        (json!({"url": format!("https://example.com/{}", "s3cr3t".repeat(400))}), "/url"),
        (json!({"url": "https://example.com/", "events": "a"}), "/events"),
        (json!({"url": "https://example.com/", "events": ["a", "*"]}), "/events/1"),
        (json!({"url": "https://example.com/", "events": vec!["a"; 101]}), "/events"),
        (json!({"url": "https://example.com/", "description": "x".repeat(501)}), "/description"),
        (json!({"url": "https://example.com/", "enabled": true}), "/enabled"),
        (json!({"url": "https://example.com/", "secret": "whsec_a"}), "/secret"),
    ] {
        let answer = world.post_json("/v1/endpoints", &body).await;
        assert!(!answer.text().contains("s3cr3t"), "{}", answer.text());
        let problem = answer.problem(422, "invalid-request");
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem}");
    }
    world.get("/v1/endpoints/7").await.problem(400, "invalid-path");
    world.get("/v1/endpoints?cursor=abc").await.problem(400, "invalid-cursor");
}

#[tokio::test]
async fn an_event_is_a_job_that_holds_what_is_delivered() {
    let world = World::new().await;
    let body = r#"{"type": "invoice.paid", "data": {"b": 1.0, "a": "é"}, "timestamp": "2026-11-22T09:00:00Z"}"#;
    let headers = [("content-type", "application/json"), ("idempotency-key", "paid-1")];
    let answer = world.send("POST /v1/events", &headers, body).await;
    let event = answer.json();
    assert_eq!((answer.status, &event["kind"], &event["queue"]), (201, &json!("webhook.event"), &json!("webhooks")));
    assert!(answer.text().contains(r#""data":{"b": 1.0, "a": "é"}"#), "byte for byte: {}", answer.text());
    assert_eq!(payload_of(&event)["timestamp"], "2026-11-22T09:00:00.000Z");
    let again = world.send("POST /v1/events", &headers, body).await;
    assert_eq!((again.header("idempotency-replayed"), &again.json()["id"]), (Some("true"), &event["id"]));
    let other = body.replace("1.0", "2.0");
    world.send("POST /v1/events", &headers, other).await.problem(422, "idempotency-key-reused");
    for (body, pointer) in [
        (json!({"data": 1}), "/type"),
        (json!({"type": "a b", "data": 1}), "/type"),
        (json!({"type": "a"}), "/data"),
        (json!({"type": "a", "data": "x".repeat(255 * 1_024)}), "/data"),
        (json!({"type": "a", "data": 1, "to": "all"}), "/to"),
    ] {
        let problem = world.post_json("/v1/events", &body).await.problem(422, "invalid-request");
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem}");
    }
}

#[tokio::test]
async fn deliveries_are_listed_with_what_they_met() {
    let world = World::new().await;
    let (endpoint, _) = create(&world, &json!({"url": "https://example.com/"})).await;
    let (other, _) = create(&world, &json!({"url": "https://example.com/"})).await;
    let test = |endpoint: &Value| format!("/v1/endpoints/{}/test", id_of(endpoint));
    let sent = world.post(&test(&endpoint)).await.expect(201);
    world.post(&test(&other)).await.expect(201);
    assert_eq!(payload_of(&sent)["body"]["type"], "haul.test");
    let met = json!({"status": 503, "latency_ms": 12, "answer": "come back"});
    let error = JobError::new("the endpoint answered 503 Service Unavailable").with_detail(met.to_string());
    world.finish(id_of(&sent), Entry::Dead(error)).await;
    let path = format!("/v1/endpoints/{}/deliveries", id_of(&endpoint));
    let page = world.get(&path).await.expect(200);
    let listed = page["data"].as_array().unwrap();
    assert_eq!(listed.len(), 1, "those of this endpoint: {page}");
    let (delivery, last) = (&listed[0], &listed[0]["last"]);
    assert_eq!(
        (&delivery["id"], &delivery["type"], &delivery["state"]),
        (&sent["id"], &json!("haul.test"), &json!("dead"))
    );
    assert_eq!((&last["status"], &last["latency_ms"], &last["answer"]), (&json!(503), &json!(12), &json!("come back")));
    assert_eq!(last["error"], "the endpoint answered 503 Service Unavailable");
    world.get("/v1/endpoints/01938f5e-7c2a-7d3e-9b1f-5a0c8e4d2b60/deliveries").await.problem(404, "endpoint-not-found");
}

#[tokio::test]
async fn a_replay_is_a_job_that_says_which_deliveries() {
    let world = World::new().await;
    let (endpoint, _) = create(&world, &json!({"url": "https://example.com/"})).await;
    let path = format!("/v1/endpoints/{}/replay", id_of(&endpoint));
    let since = "2026-11-21T00:00:00.000Z";
    let replay = world.post_json(&path, &json!({"since": since, "state": "any"})).await.expect(201);
    let payload = payload_of(&replay);
    assert_eq!((&replay["kind"], &payload["endpoint"]), (&json!("webhook.replay"), &endpoint["id"]));
    assert_eq!((&payload["since"], payload.get("state")), (&json!(since), None));
    for (body, pointer) in [
        (json!({}), "/since"),
        (json!({"since": since, "until": since}), "/until"),
        (json!({"since": since, "state": "running"}), "/state"),
        (json!({"since": since, "event": 1}), "/event"),
    ] {
        let problem = world.post_json(&path, &body).await.problem(422, "invalid-request");
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem}");
    }
}

#[tokio::test]
async fn a_repeat_under_its_key_shows_the_secret_that_a_lost_answer_held() {
    let world = World::new().await;
    let headers = [("content-type", "application/json"), ("idempotency-key", "shop-1")];
    let body = r#"{"url": "https://example.com/", "events": ["a"]}"#;
    let first = world.send("POST /v1/endpoints", &headers, body).await;
    assert_eq!((first.status, first.header("idempotency-replayed")), (201, None));
    let again = world.send("POST /v1/endpoints", &headers, body.replace(" ", "")).await;
    assert_eq!((again.status, again.header("idempotency-replayed")), (201, Some("true")));
    assert_eq!((again.header("location"), again.json()), (first.header("location"), first.json()));
    assert_eq!(world.get("/v1/endpoints").await.expect(200)["data"].as_array().unwrap().len(), 1);
    let other = body.replace('a', "b");
    world.send("POST /v1/endpoints", &headers, other).await.problem(422, "idempotency-key-reused");

    // A key that somebody else was shown since is theirs.
    let path = format!("/v1/endpoints/{}", id_of(&first.json()));
    let rotated = world.post(&format!("{path}/rotate")).await.expect(200);
    let again = world.send("POST /v1/endpoints", &headers, body).await;
    assert!(!again.text().contains("whsec_"), "{}", again.text());
    assert!(rotated["secret"].is_string());
    assert_eq!(id_of(&again.expect(201)), id_of(&first.json()));
    assert_eq!(world.send(&format!("DELETE {path}"), &[], "").await.status, 204);
    world.send("POST /v1/endpoints", &headers, body).await.problem(404, "endpoint-not-found");
}
