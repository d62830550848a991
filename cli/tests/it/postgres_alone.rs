//! `haul up` on Postgres with its dispatch in memory: one process at a time.

use crate::world::{outcome, submit, until};
use haul_testkit::{postgres, process::haul};
use serde_json::json;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(30);

#[tokio::test]
async fn it_migrates_by_itself_and_a_second_one_is_refused() {
    let url = postgres::shared().database();
    let up = haul(&["up"]).env("DATABASE_URL", &url).start().await.expect("up");
    let id = submit(&up.client(), json!({ "kind": "echo", "payload": 1 })).await;
    assert_eq!(outcome(&up.client(), &id).await["state"], "succeeded");

    let second = haul(&["up", "--listen", "127.0.0.1:0"]).env("DATABASE_URL", &url).run().expect("a second one");
    assert_eq!(second.code, Some(1), "{second:?}");
    assert!(second.stderr.contains("another process") && second.stderr.contains("REDIS_URL"), "{}", second.stderr);
}

#[tokio::test]
async fn after_kill_9_the_next_one_takes_the_lock_and_goes_on() {
    let url = postgres::shared().database();
    let mut up = haul(&["up"]).env("DATABASE_URL", &url).start().await.expect("up");
    let client = up.client();
    let id = submit(&client, json!({ "kind": "echo", "payload": 1, "delay": "2s" })).await;
    up.kill().expect("kill -9");
    up.restart().expect("restart");
    up.wait_ready().await.expect("ready");
    assert_eq!(outcome(&client, &id).await["state"], "succeeded");
}

#[tokio::test]
async fn a_lock_that_is_lost_stops_claims_until_it_is_regained() {
    let mut database = postgres::Server::start().expect("postgres");
    let up = haul(&["up"]).env("DATABASE_URL", &database.database()).start().await.expect("up");
    let client = up.client();
    let waiting = submit(&client, json!({ "kind": "echo", "payload": 1, "delay": "3s" })).await;
    database.stop().expect("stop");
    up.wait_output("nothing is claimed until it is regained", LIMIT).expect("it says so");
    database.restart().expect("restart");
    up.wait_output("is regained", LIMIT).expect("it says so");
    // What waited in memory came back from the ledger.
    assert_eq!(outcome(&client, &waiting).await["state"], "succeeded");
    let id = until("a submit is accepted", LIMIT, || async {
        let job = json!({ "kind": "echo", "payload": 2 });
        let answer = client.post("/v1/jobs", &job).await.ok().filter(|answer| answer.status == 201)?;
        Some(answer.json().ok()?["id"].as_str()?.to_owned())
    })
    .await;
    assert_eq!(outcome(&client, &id).await["state"], "succeeded");
}
