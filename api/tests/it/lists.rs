//! Lists: filters, states, cursors.

use crate::world::World;
use serde_json::{Value, json};
use std::{sync::atomic::Ordering, time::Duration};

fn ids(page: &Value) -> Vec<String> {
    page["data"].as_array().unwrap().iter().map(|job| job["id"].as_str().unwrap().to_owned()).collect()
}

async fn all(world: &World, query: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut path = format!("/v1/jobs?limit=3&{query}");
    for _ in 0..100 {
        let page = world.get(&path).await.expect(200);
        found.extend(ids(&page));
        assert_eq!(page["has_more"].as_bool(), Some(page["next_cursor"].is_string()));
        let Some(cursor) = page["next_cursor"].as_str() else { return found };
        path = format!("/v1/jobs?limit=3&{query}&cursor={cursor}");
    }
    panic!("the list does not end");
}

#[tokio::test]
async fn pages_follow_each_other_newest_first_without_gaps() {
    let world = World::new().await;
    let mut expected = Vec::new();
    for _ in 0..10 {
        expected.push(world.echo().await);
    }
    expected.reverse();
    assert_eq!(all(&world, "").await, expected);
}

#[tokio::test]
async fn filters_narrow_the_list() {
    let world = World::new().await;
    let a = world.submit(json!({"kind": "a", "payload": 1, "queue": "q1", "tags": {"order": "7"}})).await;
    tokio::time::sleep(Duration::from_millis(5)).await;
    let b = world.submit(json!({"kind": "b", "payload": 1, "queue": "q1"})).await;
    let c = world.submit(json!({"kind": "b", "payload": 1, "queue": "q2"})).await;
    assert_eq!(all(&world, "queue=q1").await, [b.clone(), a.clone()]);
    assert_eq!(all(&world, "kind=b").await, [c.clone(), b.clone()]);
    assert_eq!(all(&world, "kind=b&queue=q1").await, std::slice::from_ref(&b));
    assert_eq!(all(&world, "tag=order:7").await, std::slice::from_ref(&a));
    assert!(all(&world, "tag=order:8").await.is_empty() && all(&world, "queue=nope").await.is_empty());
    let job = world.get(&format!("/v1/jobs/{b}")).await.expect(200);
    let time = job["created_at"].as_str().unwrap();
    assert_eq!(all(&world, &format!("created_from={time}&queue=q1")).await, std::slice::from_ref(&b));
    assert_eq!(all(&world, &format!("created_before={time}")).await, [a]);
}

#[tokio::test]
async fn each_state_lists_its_jobs() {
    let world = World::new().await;
    let running = world.echo().await;
    assert_eq!(world.claim("default", 1).await.len(), 1);
    let (queued, retrying, done, dead, cancelled) =
        (world.echo().await, world.echo().await, world.echo().await, world.echo().await, world.echo().await);
    let scheduled = world.submit(json!({"kind": "echo", "payload": 1, "delay": "1h"})).await;
    world.fail(&retrying, "no").await;
    world.succeed(&done).await;
    world.finish(&dead, haul_core::ledger::Entry::Dead(haul_core::JobError::new("no"))).await;
    world.post(&format!("/v1/jobs/{cancelled}/cancel")).await.expect(200);
    for (state, id) in [
        ("running", &running),
        ("queued", &queued),
        ("retrying", &retrying),
        ("succeeded", &done),
        ("dead", &dead),
        ("cancelled", &cancelled),
        ("scheduled", &scheduled),
    ] {
        assert_eq!(all(&world, &format!("state={state}")).await, std::slice::from_ref(id), "{state}");
        let page = world.get(&format!("/v1/jobs?state={state}")).await.expect(200);
        assert_eq!(page["data"][0]["state"], state);
    }
}

#[tokio::test]
async fn running_jobs_are_listed_in_pages() {
    let world = World::new().await;
    let mut expected = Vec::new();
    for _ in 0..8 {
        expected.push(world.echo().await);
    }
    assert_eq!(world.claim("default", 8).await.len(), 8);
    expected.reverse();
    assert_eq!(all(&world, "state=running&kind=echo").await, expected);
    assert!(all(&world, "state=running&kind=other").await.is_empty());
}

#[tokio::test]
async fn without_the_dispatch_running_is_503_and_other_lists_go_on() {
    let world = World::new().await;
    world.echo().await;
    for fault in [&world.dispatch.down, &world.dispatch.hangs] {
        fault.store(true, Ordering::Relaxed);
        world.get("/v1/jobs?state=running").await.problem(503, "dispatch-unavailable");
        assert_eq!(ids(&world.get("/v1/jobs?state=queued").await.expect(200)).len(), 1);
    }
}

#[tokio::test]
async fn a_cursor_is_good_for_its_own_list_and_every_process() {
    let one = World::new().await;
    for _ in 0..3 {
        one.echo().await;
    }
    let other = World::over(
        one.ledger.clone(),
        (one.books.clone(), one.fleet.clone()),
        one.dispatch.clone(),
        one.clock.clone(),
        |_| {},
    )
    .await;
    let page = one.get("/v1/jobs?limit=1&queue=default").await.expect(200);
    let cursor = page["next_cursor"].as_str().unwrap();
    other.get(&format!("/v1/jobs?queue=default&limit=100&cursor={cursor}")).await.expect(200);
    let edited: String = cursor.chars().map(|c| if c == 'A' { 'B' } else { c }).rev().collect();
    for query in [
        format!("queue=other&cursor={cursor}"),
        format!("cursor={cursor}"),
        format!("queue=default&cursor={edited}"),
        format!("queue=default&cursor={cursor}A"),
        "queue=default&cursor=".to_owned(),
        "queue=default&cursor=%00".to_owned(),
        format!("queue=default&cursor={}", "A".repeat(5_000)),
    ] {
        one.get(&format!("/v1/jobs?{query}")).await.problem(400, "invalid-cursor");
    }
}
