//! Changes: of the version that was read, and never over what has fired.

use super::{definition, etag, hourly};
use crate::world::World;
use serde_json::json;
use std::sync::Arc;

#[tokio::test]
async fn a_change_needs_the_version_that_it_is_a_change_of() {
    let world = World::new().await;
    let first = etag(&world.create(&hourly("a")).await);
    let mut body = definition(hourly("a"));
    body["cron"] = json!("30 * * * *");
    let json_type = [("content-type", "application/json")];
    let without = world.send("PUT /v1/schedules/a", &json_type, body.to_string()).await;
    without.problem(428, "precondition-required");
    let changed = world.put("a", &first, &body).await;
    let second = etag(&changed);
    assert_ne!(first, second);
    assert_eq!((&changed.expect(200)["cron"], &changed.json()["version"]), (&json!("30 * * * *"), &json!(2)));
    for stale in [first.as_str(), "\"2\"", "W/\"x\"", &format!("W/{second}")] {
        world.put("a", stale, &definition(hourly("a"))).await.problem(412, "schedule-changed");
    }
    for broken in ["2", "", "\"2"] {
        world.put("a", broken, &body).await.problem(400, "invalid-header");
    }
    world.put("a", &format!("\"x\", {second}"), &definition(hourly("a"))).await.expect(200);
    assert_eq!(world.put("a", "*", &body).await.expect(200)["version"], 4);
    world.put("b", "*", &body).await.problem(404, "schedule-not-found");
    for (line, status) in [("POST /v1/schedules/a/pause", 412), ("DELETE /v1/schedules/a", 412)] {
        assert_eq!(world.send(line, &[("if-match", &first)], "").await.status, status, "{line}");
    }
    let now = etag(&world.get("/v1/schedules/a").await);
    assert_eq!(world.send("DELETE /v1/schedules/a", &[("if-match", &now)], "").await.status, 204);
    // The version of a schedule that is gone is none of its namesake's.
    world.create(&hourly("a")).await;
    world.put("a", &first, &body).await.problem(412, "schedule-changed");
}

#[tokio::test]
async fn of_two_changes_of_one_version_one_is_made() {
    let world = Arc::new(World::new().await);
    let tag = etag(&world.create(&hourly("a")).await);
    let changes = (0..8).map(|n| {
        let (world, tag) = (world.clone(), tag.clone());
        tokio::spawn(async move {
            let mut body = definition(hourly("a"));
            body["job"]["payload"] = json!(n);
            world.put("a", &tag, &body).await.status
        })
    });
    let mut made = 0;
    for change in changes.collect::<Vec<_>>() {
        match change.await.unwrap() {
            200 => made += 1,
            status => assert_eq!(status, 412),
        }
    }
    assert_eq!(made, 1);
}

#[tokio::test]
async fn a_change_that_changes_nothing_is_no_new_version() {
    let world = World::new().await;
    let tag = etag(&world.create(&hourly("a")).await);
    for _ in 0..2 {
        let answer = world.put("a", &tag, &definition(hourly("a"))).await;
        assert_eq!((etag(&answer), answer.expect(200)["version"].clone()), (tag.clone(), json!(1)));
    }
}

#[tokio::test]
async fn ticks_that_have_fired_do_not_fire_again_under_a_new_definition() {
    let world = World::new().await;
    world.create(&hourly("a")).await;
    // The tick of the next full hour has fired, ahead of its time.
    let fired = world.fire("a").await.moved.to;
    let mut body = definition(hourly("a"));
    body["cron"] = json!("* * * * *");
    let changed = world.put("a", "*", &body).await.expect(200);
    assert_eq!(changed["fired_through"], fired.fired_through.as_str());
    let stored = world.stored("a").await;
    assert!(stored.position.next_at.unwrap() > world.clock.now());
    let next = changed["next"][0]["tick"].as_str().unwrap();
    assert!(next > fired.fired_through.as_str(), "{next} comes after {}", fired.fired_through);
}

#[tokio::test]
async fn ticks_that_were_missed_are_past_for_a_new_definition_and_stay_for_a_new_job() {
    let world = World::new().await;
    let body = json!({"name": "a", "every": "1s", "job": {"kind": "echo", "payload": 1}, "paused": true});
    world.create(&body).await;
    crate::world::until("a tick is missed", async || world.schedule("a").await["overdue"] != 0).await;
    let before = world.stored("a").await.position;
    let mut job = definition(body.clone());
    job.as_object_mut().unwrap().remove("paused");
    job["job"]["payload"] = json!(2);
    assert_ne!(world.put("a", "*", &job).await.expect(200)["overdue"], 0, "it has missed what it has missed");
    assert_eq!(world.stored("a").await.position, before);
    job["every"] = json!("1h");
    let changed = world.put("a", "*", &job).await.expect(200);
    assert_eq!((&changed["overdue"], &changed["state"]), (&json!(0), &json!("paused")));
}

#[tokio::test]
async fn a_change_that_meets_a_firing_is_made_after_it() {
    let world = World::new().await;
    let tag = etag(&world.create(&hourly("a")).await);
    let step = world.step("a").await;
    world.ledger.steps_before_edits.lock().push_back(step.clone());
    let mut body = definition(hourly("a"));
    body["cron"] = json!("*/5 * * * *");
    let changed = world.put("a", &tag, &body).await.expect(200);
    assert_eq!((&changed["runs"], &changed["version"]), (&json!(1), &json!(2)));
    assert_eq!(changed["fired_through"], step.moved.to.fired_through.as_str());
}

#[tokio::test]
async fn what_is_no_part_of_a_change_is_refused() {
    let world = World::new().await;
    world.create(&hourly("a")).await;
    let with = |field: &str, value: serde_json::Value| {
        let mut body = definition(hourly("a"));
        body[field] = value;
        body
    };
    for (body, pointer) in [
        (with("paused", json!(true)), "/paused"),
        (with("name", json!("b")), "/name"),
        (with("version", json!(1)), "/version"),
        (with("cron", json!("0 0 31 2 *")), "/cron"),
        (json!({"every": "1h"}), "/job"),
    ] {
        let problem = world.put("a", "*", &body).await.problem(422, "invalid-schedule");
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem}");
    }
    world.put("a", "*", &hourly("a")).await.expect(200);
    let patch = world.send("PATCH /v1/schedules/a", &[("content-type", "application/json")], "{}").await;
    patch.problem(405, "method-not-allowed");
    assert_eq!(world.stored("a").await.version, 1, "nothing was changed");
}

#[tokio::test]
async fn a_dry_run_says_what_it_would_become_and_changes_nothing() {
    let world = World::new().await;
    let tag = etag(&world.create(&hourly("a")).await);
    let before = world.stored("a").await;
    let body = json!({"every": "5m", "job": {"kind": "echo", "payload": 2}, "source": "file"});
    let headers = [("content-type", "application/json"), ("if-match", tag.as_str())];
    let shown = world.send("PUT /v1/schedules/a?dry_run=true", &headers, body.to_string()).await.expect(200);
    assert_eq!((&shown["every"], &shown["cron"], &shown["source"]), (&json!("5m"), &json!(null), &json!("file")));
    assert_eq!(world.stored("a").await, before);
    let stale = [("content-type", "application/json"), ("if-match", "\"9\"")];
    world.send("PUT /v1/schedules/a?dry_run=true", &stale, body.to_string()).await.problem(412, "schedule-changed");
}
