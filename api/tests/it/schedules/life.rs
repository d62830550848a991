//! The life of a schedule: created, shown, paused, run by hand, deleted.

use super::{etag, hourly};
use crate::{
    client::Answer,
    world::{World, until},
};
use haul_core::{
    Schedules,
    schedules::{Move, Step},
};
use serde_json::{Value, json};
use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

#[tokio::test]
async fn a_schedule_is_created_and_shown_as_it_was_written() {
    let world = World::new().await;
    let body = json!({
        "name": "nightly-report",
        "cron": "0 2 * * mon-fri",
        "timezone": "Europe/London",
        "dst": {"gap": "skip"},
        "missed": {"policy": "all", "max": 10, "max_age": "6h"},
        "overlap": "skip",
        "jitter": "5m",
        "source": "billing",
        "job": {"kind": "report", "payload": {"b": 1.0, "a": "\u{0}"}, "queue": "reports", "priority": 2,
            "max_attempts": 3, "timeout": "1h", "retry": {"base": "10s"}, "tags": {"team": "billing"}}
    });
    let answer = world.create(&body).await;
    assert_eq!(answer.header("location"), Some("/v1/schedules/nightly-report"));
    let created = answer.json();
    let read = world.get("/v1/schedules/nightly-report").await;
    assert_eq!(etag(&read), etag(&answer));
    assert_eq!(read.json(), created);
    for field in ["name", "cron", "timezone", "overlap", "jitter", "source"] {
        assert_eq!(created[field], body[field], "{field}");
    }
    assert_eq!(created["dst"], json!({"gap": "skip", "overlap": null}));
    assert_eq!(created["missed"], body["missed"]);
    let job = &created["job"];
    for field in ["kind", "queue", "priority", "max_attempts", "timeout", "tags", "payload"] {
        assert_eq!(job[field], body["job"][field], "{field}");
    }
    assert_eq!(job["retry"], json!({"base": "10s", "cap": "1h", "max_age": "7days"}), "and the defaults of here");
    assert!(answer.text().contains(r#""payload":{"a":"\u0000","b":1.0}"#), "byte for byte: {}", answer.text());
    assert_eq!((&created["state"], &created["version"], &created["runs"]), (&json!("active"), &json!(1), &json!(0)));
    assert_eq!((&created["last_job"], &created["overdue"]), (&json!(null), &json!(0)));
    let next = created["next"].as_array().unwrap();
    assert_eq!(next.len(), 5);
    assert!(next[0]["tick"].as_str().unwrap().ends_with("T02:00:00[Europe/London]"), "{next:?}");
    assert!(next[0]["at"].as_str().unwrap() <= next[0]["run_at"].as_str().unwrap());
    assert_eq!(
        world.get("/v1/schedules/nightly-report?next=12").await.expect(200)["next"].as_array().unwrap().len(),
        12
    );
    world.get("/v1/schedules/other").await.problem(404, "schedule-not-found");
}

#[tokio::test]
async fn a_name_is_taken_once_and_free_after_a_delete() {
    let world = World::new().await;
    let first = world.create(&hourly("a")).await.json();
    world.post_json("/v1/schedules", &hourly("a")).await.problem(409, "schedule-exists");
    let gone = world.send("DELETE /v1/schedules/a", &[], "").await;
    assert_eq!((gone.status, gone.text()), (204, ""));
    world.send("DELETE /v1/schedules/a", &[], "").await.problem(404, "schedule-not-found");
    assert_ne!(world.create(&hourly("a")).await.json()["id"], first["id"]);
}

async fn create_keyed(world: &World, key: &str, body: &Value) -> Answer {
    let headers = [("content-type", "application/json"), ("idempotency-key", key)];
    world.send("POST /v1/schedules", &headers, body.to_string()).await
}

#[tokio::test]
async fn the_same_request_under_the_same_key_creates_one_schedule() {
    let world = World::new().await;
    let first = create_keyed(&world, "k", &hourly("a")).await;
    assert_eq!(first.header("idempotency-replayed"), None);
    let id = first.expect(201)["id"].clone();
    // Spelled otherwise, and after a change: it is the same request, and the schedule is as it is by then.
    world.post("/v1/schedules/a/pause").await.expect(200);
    let spelled = r#"{ "job":{"payload":{"a":1},"kind":"\u0065cho"}, "cron":"0 * * * *", "name":"a"}"#;
    let headers = [("content-type", "application/json"), ("idempotency-key", "k")];
    let again = world.send("POST /v1/schedules", &headers, spelled).await;
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(again.header("location"), Some("/v1/schedules/a"));
    let again = again.expect(201);
    assert_eq!((&again["id"], &again["state"]), (&id, &json!("paused")));
    for other in [hourly("b"), json!({"name": "a", "every": "1h", "job": {"kind": "echo", "payload": {"a": 1}}})] {
        create_keyed(&world, "k", &other).await.problem(422, "idempotency-key-reused");
    }
    world
        .send("POST /v1/jobs", &headers, r#"{"kind":"echo","payload":1}"#)
        .await
        .problem(422, "idempotency-key-reused");
    world.send("DELETE /v1/schedules/a", &[], "").await;
    create_keyed(&world, "k", &hourly("a")).await.problem(404, "schedule-not-found");
    // A key that was refused is free.
    world.create(&hourly("b")).await;
    create_keyed(&world, "k2", &hourly("b")).await.problem(409, "schedule-exists");
    create_keyed(&world, "k2", &hourly("c")).await.expect(201);
}

#[tokio::test]
async fn many_at_once_under_one_key_create_one_schedule() {
    let world = Arc::new(World::new().await);
    let requests = (0..20).map(|_| {
        let world = world.clone();
        tokio::spawn(async move { create_keyed(&world, "k", &hourly("a")).await })
    });
    let mut replays = 0;
    for request in requests.collect::<Vec<_>>() {
        let answer = request.await.unwrap();
        replays += usize::from(answer.header("idempotency-replayed").is_some());
        answer.expect(201);
    }
    assert_eq!(replays, 19);
}

#[tokio::test]
async fn there_are_no_more_schedules_than_are_allowed() {
    let world = Arc::new(World::with(|config| config.api.schedules_max = 3).await);
    let requests = (0..10).map(|n| {
        let world = world.clone();
        tokio::spawn(async move { world.post_json("/v1/schedules", &hourly(&format!("s{n}"))).await })
    });
    let mut created = 0;
    for request in requests.collect::<Vec<_>>() {
        let answer = request.await.unwrap();
        match answer.status {
            201 => created += 1,
            _ => {
                let problem = answer.problem(422, "limit-reached");
                assert_eq!(problem["detail"], "there are 3 schedules, more are not allowed");
            }
        }
    }
    assert_eq!(created, 3);
}

#[tokio::test]
async fn a_paused_schedule_shows_what_it_misses() {
    let world = World::new().await;
    let body = json!({"name": "a", "every": "1s", "job": {"kind": "echo", "payload": 1}, "paused": true});
    assert_eq!(world.create(&body).await.json()["state"], "paused");
    until("missed ticks are shown", async || {
        let shown = world.schedule("a").await;
        assert_eq!(shown["state"], "paused");
        shown["overdue"].as_u64().unwrap() >= 2 && shown["overdue_since"].is_string()
    })
    .await;
    let shown = world.schedule("a").await;
    let now = world.clock.now().to_string();
    assert!(shown["next"][0]["at"].as_str().unwrap() > shown["overdue_since"].as_str().unwrap());
    assert!(shown["next"][4]["at"].as_str().unwrap() > now.as_str(), "{shown}");
    let resumed = world.post("/v1/schedules/a/resume").await;
    assert_eq!(etag(&resumed), etag(&world.get("/v1/schedules/a").await));
    assert_eq!((&resumed.expect(200)["state"], &resumed.json()["version"]), (&json!("active"), &json!(2)));
    world.post("/v1/schedules/b/pause").await.problem(404, "schedule-not-found");
}

#[tokio::test]
async fn what_it_has_fired_and_what_keeps_it_from_firing_is_shown() {
    let world = World::new().await;
    world.create(&hourly("a")).await;
    let step = world.fire("a").await;
    let shown = world.schedule("a").await;
    assert_eq!((&shown["runs"], &shown["last_job"]), (&json!(1), &json!(step.jobs[0].id.to_string())));
    assert_eq!(shown["fired_through"], step.moved.to.fired_through.as_str());
    assert!(shown["last_fired_at"].is_string());
    let stored = world.stored("a").await;
    let from = stored.position.fired_through.clone();
    let mut to = stored.position.clone();
    to.fired_through = format!("{from} waiting {from}");
    let moved = Move { from: from.clone(), to };
    let problem = Some("the ledger refuses its job".to_owned());
    let step = Step { schedule: stored.id, version: 1, moved, jobs: Vec::new(), problem };
    world.ledger.fire(&[step], world.process, &[]).await.unwrap();
    let shown = world.schedule("a").await;
    assert_eq!((&shown["problem"], &shown["waiting"]), (&json!("the ledger refuses its job"), &json!(from)));
    assert_eq!(shown["fired_through"], from.as_str());
}

#[tokio::test]
async fn a_schedule_that_has_had_all_its_runs_has_ended() {
    let world = World::new().await;
    let mut once = hourly("a");
    once["max_runs"] = json!(1);
    let next = world.create(&once).await.json()["next"].clone();
    assert_eq!(next.as_array().unwrap().len(), 1, "it has one run");
    world.fire("a").await;
    let shown = world.schedule("a").await;
    assert_eq!((&shown["state"], &shown["next"], &shown["overdue"]), (&json!("ended"), &json!([]), &json!(0)));
}

#[tokio::test]
async fn a_definition_that_cannot_be_read_is_shown_with_the_reason() {
    let world = World::new().await;
    world.create(&hourly("a")).await;
    let stored = world.stored("a").await;
    for (spec, template, said) in [
        (r#"{"lunar":"full"}"#, stored.definition.template.as_str(), "cannot be read"),
        (r#"{"cron":"0 * * * *","timezone":"Mars/Base"}"#, stored.definition.template.as_str(), "not valid"),
        (stored.definition.spec.as_str(), "{}", "the job"),
    ] {
        let stored = world.stored("a").await;
        let mut definition = stored.definition.clone();
        (definition.spec, definition.template) = (spec.to_owned(), template.to_owned());
        let edit = haul_core::schedules::Edit { id: stored.id, version: stored.version, definition, moved: None };
        world.ledger.edit(&edit).await.unwrap();
        let shown = world.schedule("a").await;
        assert!(shown["problem"].as_str().unwrap().contains(said), "{shown}");
        world.get("/v1/schedules").await.expect(200);
    }
    world.put("a", "*", &super::definition(hourly("a"))).await.expect(200);
    assert_eq!(world.schedule("a").await["problem"], json!(null), "a new definition mends it");
}

#[tokio::test]
async fn a_run_by_hand_is_a_job_that_leaves_the_schedule_alone() {
    let world = World::new().await;
    let mut body = hourly("a");
    body["job"]["tags"] = json!({"team": "x"});
    body["paused"] = json!(true);
    world.create(&body).await;
    let before = world.stored("a").await;
    let headers = [("idempotency-key", "run-1")];
    let first = world.send("POST /v1/schedules/a/run", &headers, "").await;
    let job = first.expect(201);
    assert_eq!(job["tags"], json!({"team": "x", "haul.schedule": "a", "haul.tick": "manual"}));
    assert_eq!((&job["kind"], &job["payload"]), (&json!("echo"), &json!({"a": 1})));
    assert_eq!(first.header("location"), Some(format!("/v1/jobs/{}", job["id"].as_str().unwrap()).as_str()));
    let again = world.send("POST /v1/schedules/a/run", &headers, "").await;
    assert_eq!((again.header("idempotency-replayed"), again.text()), (Some("true"), first.text()));
    assert_eq!(world.stored("a").await, before);
    until("the ticket", async || world.dispatch.enqueued.load(Ordering::Relaxed) == 1).await;
    let listed = world.get("/v1/jobs?tag=haul.schedule:a").await.expect(200);
    assert_eq!(listed["data"][0]["id"], job["id"]);
    world.post_json("/v1/schedules/a/run", &json!({"payload": 2})).await.problem(422, "invalid-request");
    world.post("/v1/schedules/b/run").await.problem(404, "schedule-not-found");
}

#[tokio::test]
async fn a_dry_run_says_what_would_be_and_creates_nothing() {
    let world = World::new().await;
    let shown = world.post_json("/v1/schedules?dry_run=true", &hourly("a")).await.expect(200);
    assert_eq!((&shown["name"], &shown["next"].as_array().unwrap().len()), (&json!("a"), &5));
    world.get("/v1/schedules/a").await.problem(404, "schedule-not-found");
    world.post_json("/v1/schedules?dry_run=true", &json!({"name": "a"})).await.problem(422, "invalid-schedule");
    world.create(&hourly("a")).await;
    world.post_json("/v1/schedules?dry_run=true", &hourly("a")).await.problem(409, "schedule-exists");
}

#[tokio::test]
async fn without_the_ledger_every_request_is_503() {
    let world = World::new().await;
    world.create(&hourly("a")).await;
    world.ledger.down.store(true, Ordering::Relaxed);
    for line in [
        "GET /v1/schedules",
        "GET /v1/schedules/a",
        "DELETE /v1/schedules/a",
        "POST /v1/schedules/a/pause",
        "POST /v1/schedules/a/run",
    ] {
        let problem = world.send(line, &[], "").await.problem(503, "ledger-unavailable");
        assert!(!problem.to_string().contains("secret-host"));
    }
    world.post_json("/v1/schedules", &hourly("b")).await.problem(503, "ledger-unavailable");
    // What needs no ledger is served.
    world.post_json("/v1/schedules/preview", &json!({"every": "1h"})).await.expect(200);
    tokio::time::timeout(Duration::from_secs(30), world.end()).await.unwrap();
}
