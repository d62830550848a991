//! Lists: by name, a page at a time.

use super::hourly;
use crate::world::World;
use serde_json::{Value, json};

fn names(page: &Value) -> Vec<&str> {
    page["data"].as_array().unwrap().iter().map(|schedule| schedule["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn schedules_come_in_pages_by_name() {
    let world = World::new().await;
    for name in ["c", "a", "d", "b"] {
        world.create(&hourly(name)).await;
    }
    world.fire("a").await;
    let first = world.get("/v1/schedules?limit=3").await.expect(200);
    assert_eq!((names(&first), &first["has_more"]), (vec!["a", "b", "c"], &json!(true)));
    assert_eq!(first["data"][0]["runs"], 1);
    assert_eq!(first["data"][0]["next"].as_array().unwrap().len(), 1, "each with its next tick");
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = world.get(&format!("/v1/schedules?limit=1&cursor={cursor}")).await.expect(200);
    assert_eq!((names(&second), &second["has_more"], &second["next_cursor"]), (vec!["d"], &json!(false), &json!(null)));
    world.send("DELETE /v1/schedules/c", &[], "").await;
    let again = world.get(&format!("/v1/schedules?cursor={cursor}")).await.expect(200);
    assert_eq!(names(&again), ["d"], "a cursor outlives the schedule that it was made of");
}

#[tokio::test]
async fn a_cursor_of_another_list_or_a_changed_one_is_refused() {
    let world = World::new().await;
    for name in ["a", "b"] {
        world.create(&hourly(name)).await;
        world.submit(json!({"kind": "echo", "payload": 1, "queue": name})).await;
    }
    let cursor = world.get("/v1/schedules?limit=1").await.expect(200)["next_cursor"].as_str().unwrap().to_owned();
    let queues = world.get("/v1/queues?limit=1").await.expect(200)["next_cursor"].as_str().unwrap().to_owned();
    let edited: String = cursor.chars().rev().collect();
    for foreign in [queues.as_str(), &edited, &cursor[1..], "x"] {
        world.get(&format!("/v1/schedules?cursor={foreign}")).await.problem(400, "invalid-cursor");
    }
    world.get(&format!("/v1/queues?cursor={cursor}")).await.problem(400, "invalid-cursor");
}
