//! The wire formats, held by snapshots. Ids, times and request ids are replaced.

use crate::world::World;
use serde_json::{Value, json};

/// Replaces what differs from run to run.
fn settle(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                match (name.as_str(), &value) {
                    ("id" | "origin", Value::String(_)) => *value = json!("[id]"),
                    ("request_id", Value::String(_)) => *value = json!("[request id]"),
                    ("next_cursor", Value::String(_)) => *value = json!("[cursor]"),
                    ("oldest_age_seconds", Value::Number(_)) => *value = json!("[seconds]"),
                    (_, Value::String(text)) if text.parse::<haul_core::Timestamp>().is_ok() => {
                        *value = json!("[time]")
                    }
                    _ => settle(value),
                }
            }
        }
        Value::Array(elements) => elements.iter_mut().for_each(settle),
        _ => {}
    }
}

fn settled(mut value: Value) -> Value {
    settle(&mut value);
    value
}

#[tokio::test]
async fn a_job() {
    let world = World::new().await;
    let answer = world.post_json("/v1/jobs", &json!({"kind": "echo", "payload": {"a": 1}, "tags": {"t": "v"}})).await;
    // Field order is part of what people read: this one snapshot holds the text.
    let names: Vec<&str> = answer.text().split(",\"").filter_map(|part| part.split("\":").next()).collect();
    insta::assert_snapshot!("field_order", names.join(" "));
    let accepted = answer.expect(201);
    let id = accepted["id"].as_str().unwrap().to_owned();
    insta::assert_json_snapshot!("accepted", settled(accepted));
    world.fail(&id, "no luck").await;
    world.crash(&id, "killed by signal 6").await;
    world.succeed(&id).await;
    insta::assert_json_snapshot!("succeeded", settled(world.get(&format!("/v1/jobs/{id}")).await.expect(200)));
}

#[tokio::test]
async fn many() {
    let world = World::new().await;
    let jobs = json!({"jobs": [
        {"kind": "echo", "payload": 1, "idempotency_key": "k"}, {"kind": "echo", "payload": 1, "idempotency_key": "k"},
        {"kind": ""},
    ]});
    insta::assert_json_snapshot!("batch", settled(world.post_json("/v1/jobs/batch", &jobs).await.expect(201)));
    world.echo().await;
    insta::assert_json_snapshot!("list", settled(world.get("/v1/jobs?limit=1").await.expect(200)));
    world.claim("default", 1).await;
    insta::assert_json_snapshot!("queues", settled(world.get("/v1/queues").await.expect(200)));
    let wish = json!({"queue": "default", "limit": 1});
    insta::assert_json_snapshot!("cancelled", settled(world.post_json("/v1/jobs/cancel", &wish).await.expect(200)));
}

#[tokio::test]
async fn a_schedule() {
    let world = World::new().await;
    let wish = json!({
        "name": "nightly-report", "cron": "0 2 * * mon-fri", "timezone": "Europe/London", "jitter": "5m",
        "job": {"kind": "report", "payload": {"format": "pdf"}},
    });
    let mut created = settled(world.post_json("/v1/schedules", &wish).await.expect(201));
    // They depend on the day of the test.
    for tick in created["next"].as_array_mut().unwrap() {
        tick["tick"] = json!("[tick]");
    }
    created["fired_through"] = json!("[tick]");
    insta::assert_json_snapshot!("schedule", created);
    let wrong = json!({"name": "a", "cron": "0 0 2 * * *", "job": {"kind": "report", "payload": 1}});
    let problem = world.post_json("/v1/schedules", &wrong).await.expect(422);
    insta::assert_json_snapshot!("problem_of_a_schedule", settled(problem));
}

#[tokio::test]
async fn problems() {
    let world = World::new().await;
    insta::assert_json_snapshot!("problem", settled(world.get("/v1/nope").await.expect(404)));
    let wrong = json!({"kind": "echo", "priority": 10, "x": 1});
    insta::assert_json_snapshot!("problem_with_errors", settled(world.post_json("/v1/jobs", &wrong).await.expect(422)));
}
