//! Queues: figures, pause, resume.

use crate::world::{World, queue_ref, until};
use haul_core::{Ledger, QueueSettings};
use serde_json::{Value, json};
use std::sync::atomic::Ordering;

#[tokio::test]
async fn queues_show_what_waits_and_null_without_the_dispatch() {
    let world = World::new().await;
    for delay in ["0s", "0s", "1h"] {
        world.submit(json!({"kind": "echo", "payload": 1, "queue": "mail", "delay": delay})).await;
    }
    until("the tickets", async || world.dispatch.enqueued.load(Ordering::Relaxed) == 3).await;
    world.claim("mail", 1).await;
    let page = world.get("/v1/queues").await.expect(200);
    let queue = &page["data"][0];
    assert_eq!((&queue["name"], &queue["paused"]), (&json!("mail"), &json!(false)));
    assert_eq!((&queue["ready"], &queue["delayed"], &queue["running"]), (&json!(1), &json!(1), &json!(1)));
    assert!(queue["oldest_age_seconds"].as_f64().unwrap() < 60.0);
    for fault in [&world.dispatch.down, &world.dispatch.hangs] {
        fault.store(true, Ordering::Relaxed);
        let queue = world.get("/v1/queues").await.expect(200)["data"][0].clone();
        let expected = json!({"name": "mail", "paused": false, "slots": 1, "ready": null, "delayed": null, "running": null,
            "oldest_age_seconds": null});
        assert_eq!(queue, expected);
    }
}

#[tokio::test]
async fn queues_come_in_pages_by_name() {
    let world = World::new().await;
    for name in ["c", "a", "d", "b"] {
        world.submit(json!({"kind": "echo", "payload": 1, "queue": name})).await;
    }
    let names = |page: &serde_json::Value| -> Vec<String> {
        page["data"].as_array().unwrap().iter().map(|queue| queue["name"].as_str().unwrap().to_owned()).collect()
    };
    let first = world.get("/v1/queues?limit=3").await.expect(200);
    assert_eq!((names(&first), &first["has_more"]), (vec!["a".into(), "b".into(), "c".into()], &json!(true)));
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = world.get(&format!("/v1/queues?cursor={cursor}")).await.expect(200);
    assert_eq!((names(&second), &second["next_cursor"]), (vec!["d".into()], &json!(null)));
}

#[tokio::test]
async fn a_paused_queue_gives_out_nothing_until_it_is_resumed() {
    let world = World::new().await;
    world.echo().await;
    until("the ticket", async || world.dispatch.enqueued.load(Ordering::Relaxed) == 1).await;
    assert_eq!(world.claim("default", 1).await.len(), 1);
    assert_eq!(world.post("/v1/queues/default/pause").await.expect(200)["paused"], true);
    world.echo().await;
    until("the ticket", async || world.dispatch.enqueued.load(Ordering::Relaxed) == 2).await;
    assert!(world.claim("default", 1).await.is_empty());
    assert_eq!(world.post("/v1/queues/default/resume").await.expect(200)["paused"], false);
    assert_eq!(world.claim("default", 1).await.len(), 1);
    world.post("/v1/queues/nope/pause").await.problem(404, "queue-not-found");
}

#[tokio::test]
async fn a_pause_reaches_a_dispatch_that_was_away() {
    let world = World::new().await;
    world.echo().await;
    world.claim("default", 1).await;
    world.dispatch.down.store(true, Ordering::Relaxed);
    assert_eq!(world.post("/v1/queues/default/pause").await.expect(200)["paused"], true);
    assert!(
        world
            .ledger
            .queues()
            .await
            .unwrap()
            .iter()
            .any(|info| info.queue == queue_ref("default") && info.settings.paused)
    );
    world.dispatch.down.store(false, Ordering::Relaxed);
    world.echo().await;
    until("the pause", async || {
        world.echo().await;
        world.claim("default", 100).await.is_empty()
    })
    .await;
}

#[tokio::test]
async fn a_queues_settings_are_changed_and_shown() {
    let world = World::new().await;
    world.echo().await;
    let patch = async |body: Value| {
        let answer = world.send("PATCH /v1/queues/default", &[("Content-Type", "application/json")], body.to_string());
        answer.await.expect(200)
    };
    let shown = |queue: &Value| (queue["paused"].clone(), queue["slots"].clone());
    assert_eq!(shown(&patch(json!({"slots": 4})).await), (json!(false), json!(4)));
    assert_eq!(shown(&patch(json!({"paused": true, "slots": null})).await), (json!(true), json!(4)));
    assert_eq!(shown(&world.post("/v1/queues/default/resume").await.expect(200)), (json!(false), json!(4)));
    assert_eq!(shown(&patch(json!({"paused": false, "slots": 64})).await), (json!(false), json!(64)));
    assert_eq!(shown(&world.get("/v1/queues").await.expect(200)["data"][0]), (json!(false), json!(64)));
}

#[tokio::test]
async fn settings_that_are_none_are_refused_with_a_pointer() {
    let world = World::new().await;
    world.echo().await;
    let patch = async |path: &str, body: &str| {
        world.send(&format!("PATCH /v1/queues/{path}"), &[("Content-Type", "application/json")], body).await
    };
    let bad = [
        (r#"{"slots":0}"#, "/slots"),
        (r#"{"slots":65}"#, "/slots"),
        (r#"{"slots":-1}"#, "/slots"),
        (r#"{"slots":4.0}"#, "/slots"),
        (r#"{"slots":"4"}"#, "/slots"),
        (r#"{"slots":99999999999999999999}"#, "/slots"),
        (r#"{"paused":1}"#, "/paused"),
        (r#"{"paused":"true"}"#, "/paused"),
        (r#"{"priority":1,"slots":4}"#, "/priority"),
        (r#"{}"#, ""),
        (r#"{"slots":null}"#, ""),
        ("[]", ""),
    ];
    for (body, pointer) in bad {
        let problem = patch("default", body).await.problem(422, "invalid-request");
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{body}: {problem}");
    }
    let both = patch("default", r#"{"slots":0,"paused":0}"#).await.problem(422, "invalid-request");
    assert_eq!(both["errors"].as_array().unwrap().len(), 2, "everything that is wrong is told at once");
    assert_eq!(world.ledger.queues().await.unwrap()[0].settings, QueueSettings::default(), "nothing was changed");
    patch("nope", r#"{"slots":4}"#).await.problem(404, "queue-not-found");
    patch("default", r#"{"slots":4"#).await.problem(400, "malformed-json");
    patch("default?slots=4", r#"{"slots":4}"#).await.problem(400, "invalid-query");
}

#[tokio::test]
async fn the_hours_of_a_queue_are_shown_as_they_were_counted() {
    let world = World::new().await;
    world.echo().await;
    let hours = world.get("/v1/queues/default/statistics").await.expect(200);
    assert_eq!(hours, json!({"data": [], "has_more": false}), "this hour has not ended");
    let page =
        world.get("/v1/queues/default/statistics?kind=echo&from=2026-11-01T00:00:00Z&to=2026-11-02T00:00:00Z").await;
    assert_eq!(page.expect(200)["data"], json!([]));
    world.get("/v1/queues/default/statistics?from=yesterday").await.problem(400, "invalid-query");
    world.get("/v1/queues/default/statistics?since=1").await.problem(400, "invalid-query");
}
