//! The trace of a request stays with its jobs, and changes nothing else.

use crate::world::World;
use serde_json::{Value, json};

const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const TRACE: (&str, &str) = ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
const OTHER: (&str, &str) = ("traceparent", "00-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-00f067aa0ba902b7-01");
const JSON: (&str, &str) = ("content-type", "application/json");
const JOB: &str = r#"{"kind":"echo","payload":1}"#;

async fn trace_id(world: &World, id: &Value) -> Value {
    world.get(&format!("/v1/jobs/{}", id.as_str().unwrap())).await.expect(200)["trace_id"].clone()
}

#[tokio::test]
async fn jobs_keep_the_trace_of_their_request_however_they_are_made() {
    let world = World::new().await;
    let single = world.send("POST /v1/jobs", &[JSON, TRACE], JOB).await.expect(201);
    assert_eq!(single["trace_id"], TRACE_ID);
    let batch = world.send("POST /v1/jobs/batch", &[JSON, TRACE], format!("{{\"jobs\":[{JOB}]}}")).await.expect(201);
    assert_eq!(trace_id(&world, &batch["data"][0]["id"]).await, TRACE_ID);
    let ndjson = ("content-type", "application/x-ndjson");
    let bulk = world.send("POST /v1/jobs/bulk", &[ndjson, TRACE], JOB).await;
    let first: Value = serde_json::from_str(bulk.text().lines().next().unwrap()).unwrap();
    assert_eq!(trace_id(&world, &first["id"]).await, TRACE_ID);
    let id = single["id"].as_str().unwrap();
    world.post(&format!("/v1/jobs/{id}/cancel")).await.expect(200);
    let again = world.post(&format!("/v1/jobs/{id}/rerun")).await.expect(201);
    assert_eq!(again["trace_id"], TRACE_ID, "a rerun keeps its origin's");
    let again = world.send(&format!("POST /v1/jobs/{id}/rerun"), &[OTHER], "").await.expect(201);
    assert_eq!(again["trace_id"], "a".repeat(32), "unless its request has one");
}

#[tokio::test]
async fn what_requests_cause_besides_single_jobs_is_of_their_trace_too() {
    let world = World::new().await;
    let event = world.send("POST /v1/events", &[JSON, TRACE], r#"{"type":"a.b","data":1}"#).await.expect(201);
    assert_eq!(trace_id(&world, &event["id"]).await, TRACE_ID);
    let payment = r#"{"amount":1050,"currency":"EUR","source":"pm_card_visa"}"#;
    let key = ("idempotency-key", "p-1");
    let payment = world.send("POST /v1/payments", &[JSON, TRACE, key], payment).await.expect(201);
    assert_eq!(trace_id(&world, &payment["operations"][0]["job"]).await, TRACE_ID);
    let schedule = json!({ "name": "yearly", "cron": "0 0 1 1 *", "timezone": "UTC",
        "job": { "kind": "echo", "payload": 1 } });
    world.post_json("/v1/schedules", &schedule).await.expect(201);
    let run = world.send("POST /v1/schedules/yearly/run", &[TRACE], "").await.expect(201);
    assert_eq!(run["trace_id"], TRACE_ID);
}

#[tokio::test]
async fn a_malformed_trace_is_ignored() {
    let world = World::new().await;
    for headers in [&[JSON, ("traceparent", "00-4BF9-1-01")][..], &[JSON, TRACE, OTHER], &[JSON]] {
        let job = world.send("POST /v1/jobs", headers, JOB).await.expect(201);
        assert_eq!(job.get("trace_id"), None);
    }
}

#[tokio::test]
async fn the_same_request_under_another_trace_is_the_same_request() {
    let world = World::new().await;
    let key = ("idempotency-key", "k1");
    let first = world.send("POST /v1/jobs", &[JSON, key, TRACE], JOB).await.expect(201);
    let answer = world.send("POST /v1/jobs", &[JSON, key, OTHER], JOB).await;
    assert_eq!(answer.header("idempotency-replayed"), Some("true"));
    let again: Value = answer.json();
    assert_eq!((&again["id"], &again["trace_id"]), (&first["id"], &json!(TRACE_ID)));
}
