//! One key, one job.

use crate::{
    client::Answer,
    faults::Fault,
    world::{World, until},
};
use serde_json::{Value, json};
use std::sync::{Arc, atomic::Ordering};

async fn submit(world: &World, key: &str, body: &str) -> Answer {
    let headers = [("content-type", "application/json"), ("idempotency-key", key)];
    world.send("POST /v1/jobs", &headers, body).await
}

const BODY: &str = r#"{"kind":"echo","payload":{"a":1,"b":[2]},"delay":"1h"}"#;

#[tokio::test]
async fn the_same_request_under_the_same_key_is_answered_with_the_same_bytes() {
    let world = World::new().await;
    let first = submit(&world, "k", BODY).await;
    assert_eq!(first.header("idempotency-replayed"), None);
    let id = first.expect(201)["id"].as_str().unwrap().to_owned();
    world.post(&format!("/v1/jobs/{id}/cancel")).await.expect(200);
    for body in [BODY, r#"{ "delay":"1h", "payload":{"b":[2],"a":1},"kind":"\u0065cho" }"#] {
        let again = submit(&world, "k", body).await;
        assert_eq!(again.status, 201);
        assert_eq!(again.text(), first.text());
        assert_eq!(again.header("idempotency-replayed"), Some("true"));
        assert_eq!(again.header("location"), first.header("location"));
    }
    until("one ticket", async || world.dispatch.enqueued.load(Ordering::Relaxed) == 1).await;
    world.end().await;
}

#[tokio::test]
async fn another_request_under_the_same_key_is_refused() {
    let world = World::new().await;
    submit(&world, "k", BODY).await.expect(201);
    for body in [r#"{"kind":"echo","payload":{"a":1,"b":[3]},"delay":"1h"}"#, r#"{"kind":"echo","payload":1}"#] {
        submit(&world, "k", body).await.problem(422, "idempotency-key-reused");
    }
    submit(&world, "k2", BODY).await.expect(201);
}

#[tokio::test]
async fn many_at_once_under_one_key_are_one_job() {
    let world = Arc::new(World::new().await);
    let submits: Vec<_> = (0..40)
        .map(|_| {
            tokio::spawn({
                let world = world.clone();
                async move { submit(&world, "k", BODY).await }
            })
        })
        .collect();
    let mut ids = Vec::new();
    let mut replays = 0;
    for submit in submits {
        let answer = submit.await.unwrap();
        replays += usize::from(answer.header("idempotency-replayed").is_some());
        ids.push(answer.expect(201)["id"].as_str().unwrap().to_owned());
    }
    ids.dedup();
    assert_eq!((ids.len(), replays), (1, 39));
}

#[tokio::test]
async fn a_key_that_another_transaction_holds_is_409_and_stalls_nobody() {
    let world = World::new().await;
    *world.ledger.held_key.lock() = Some("held".into());
    let answer = submit(&world, "held", BODY).await;
    answer.problem(409, "idempotency-key-in-use");
    assert!(answer.header("retry-after").is_some());
    let job = |key: &str| json!({"kind": "echo", "payload": 1, "idempotency_key": key});
    let body = json!({"jobs": [job("a"), job("held"), job("b")]});
    let answer = world.post_json("/v1/jobs/batch", &body).await.expect(201);
    let types: Vec<&Value> = answer["data"].as_array().unwrap().iter().map(|item| &item["error"]["type"]).collect();
    assert_eq!(types, [&json!(null), &json!("/problems/idempotency-key-in-use"), &json!(null)]);
    *world.ledger.held_key.lock() = None;
    submit(&world, "held", BODY).await.expect(201);
}

#[tokio::test]
async fn a_lost_answer_under_a_key_is_not_a_replay() {
    let world = World::new().await;
    world.ledger.accept_faults.lock().push_back(Fault::AnswerLost);
    let answer = submit(&world, "k", BODY).await;
    answer.expect(201);
    assert_eq!(answer.header("idempotency-replayed"), None);
}

#[tokio::test]
async fn a_rerun_under_a_key_happens_once() {
    let world = World::new().await;
    let id = world.echo().await;
    world.succeed(&id).await;
    let rerun = async || world.send(&format!("POST /v1/jobs/{id}/rerun"), &[("idempotency-key", "r")], "").await;
    let (first, second) = (rerun().await, rerun().await);
    assert_eq!(first.expect(201)["id"], second.expect(201)["id"]);
    assert_eq!(second.header("idempotency-replayed"), Some("true"));
    submit(&world, "r", BODY).await.problem(422, "idempotency-key-reused");
}

#[tokio::test]
async fn one_key_is_one_job_over_all_ways_to_submit() {
    let world = World::new().await;
    let first = submit(&world, "k", r#"{"kind":"echo","payload":1}"#).await.expect(201);
    let item = json!({"kind": "echo", "payload": 1, "idempotency_key": "k"});
    let batch = world.post_json("/v1/jobs/batch", &json!({"jobs": [item]})).await.expect(201);
    assert_eq!(batch["data"][0], json!({"id": first["id"], "replayed": true}));
}
