//! The same API on the stores of `haul up`: SQLite and memory.

use crate::world::{World, job_id};
use haul_core::Clock;
use haul_embedded::{MemoryDispatch, SqliteLedger};
use serde_json::{Value, json};
use std::{path::Path, sync::Arc};

async fn world(directory: &Path) -> World {
    let clock = Arc::new(Clock::new());
    let ledger = Arc::new(SqliteLedger::open(directory).await.unwrap());
    World::on(ledger, Arc::new(MemoryDispatch::new(clock.clone())), clock, |_| {}).await
}

#[tokio::test]
async fn what_was_accepted_is_there_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let first = world(directory.path()).await;
    let headers = [("content-type", "application/json"), ("idempotency-key", "k")];
    let submit = r#"{"kind":"echo","payload":{"b":1.0,"a":"\u0000"},"queue":"mail","tags":{"order":"7"}}"#;
    let accepted = first.send("POST /v1/jobs", &headers, submit).await;
    let id = accepted.expect(201)["id"].as_str().unwrap().to_owned();
    first.end().await;

    let second = world(directory.path()).await;
    let again = second.send("POST /v1/jobs", &headers, submit).await;
    assert_eq!((again.status, again.text()), (201, accepted.text()));
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    second
        .send("POST /v1/jobs", &headers, r#"{"kind":"echo","payload":2}"#)
        .await
        .problem(422, "idempotency-key-reused");
    for filter in ["queue=mail", "kind=echo", "tag=order:7", "state=queued", "state=queued&queue=mail&kind=echo"] {
        let page = second.get(&format!("/v1/jobs?{filter}")).await.expect(200);
        assert_eq!(page["data"][0]["id"], id, "{filter}");
    }
    second.end().await;
}

#[tokio::test]
async fn a_job_lives_its_life() {
    let directory = tempfile::tempdir().unwrap();
    let world = world(directory.path()).await;
    let id = world.echo().await;
    assert_eq!(world.claim("default", 1).await, [job_id(&id)]);
    assert_eq!(world.get("/v1/jobs?state=running").await.expect(200)["data"][0]["id"], id);
    world.fail(&id, "no luck").await;
    world.succeed(&id).await;
    let job = world.get(&format!("/v1/jobs/{id}?wait=10s")).await.expect(200);
    assert_eq!((&job["state"], &job["attempt"]), (&json!("succeeded"), &json!(2)));
    world.post(&format!("/v1/jobs/{id}/cancel")).await.problem(409, "job-ended");
    let again = world.post(&format!("/v1/jobs/{id}/rerun")).await.expect(201);
    let again = again["id"].as_str().unwrap();
    assert_eq!(world.post(&format!("/v1/jobs/{again}/cancel")).await.expect(200)["state"], "cancelled");
    assert_eq!(world.get("/v1/jobs?state=cancelled").await.expect(200)["data"][0]["origin"], id);
    assert_eq!(world.post("/v1/queues/default/pause").await.expect(200)["paused"], true);
    assert_eq!(world.get("/v1/queues").await.expect(200)["data"][0]["paused"], true);
    world.end().await;
}

#[tokio::test]
async fn twenty_thousand_lines_are_twenty_thousand_jobs() {
    let directory = tempfile::tempdir().unwrap();
    let world = world(directory.path()).await;
    let body: String = (0..20_000).map(|n| format!("{{\"kind\":\"echo\",\"payload\":{n}}}\n")).collect();
    let answer = world.send("POST /v1/jobs/bulk", &[("content-type", "application/x-ndjson")], body).await;
    let last: Value = serde_json::from_str(answer.text().lines().last().unwrap()).unwrap();
    assert_eq!(last, json!({"accepted": 20_000, "rejected": 0}));
    let mut cancelled = 0;
    let mut wish = json!({"queue": "default"});
    loop {
        let answer = world.post_json("/v1/jobs/cancel", &wish).await.expect(200);
        cancelled += answer["cancelled"].as_u64().unwrap();
        if !answer["has_more"].as_bool().unwrap() {
            break;
        }
        wish["cursor"] = answer["next_cursor"].clone();
    }
    assert_eq!(cancelled, 20_000);
    world.end().await;
}
