//! Cancelling while Redis is down: the ledger decides, and workers ask it.

use crate::{
    production::{Fleet, on},
    world::{list, outcome, submit, text, until},
};
use haul_testkit::{http::Client, process::Haul};
use serde_json::json;
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(20);

async fn slots_busy(worker: &Haul) -> Option<f64> {
    let metrics = Client::new(worker.ops_url()).get("/metrics").await.ok()?;
    let line = text(&metrics).lines().find(|line| line.starts_with("haul_worker_slots_busy"))?.to_owned();
    line.rsplit(' ').next()?.parse().ok()
}

#[tokio::test]
async fn without_redis_queued_delayed_and_running_jobs_are_cancelled_and_stay_so() {
    let mut fleet = Fleet::start(0).await;
    let worker = on(&fleet.database, &fleet.redis.url(), &["worker", "--queues", "default"]);
    let worker = worker.start().await.expect("worker");
    let client = fleet.client();
    let running = submit(&client, json!({ "kind": "echo", "payload": { "sleep": "120s" } })).await;
    let delayed = submit(&client, json!({ "kind": "echo", "payload": 1, "delay": "2s" })).await;
    let queued = submit(&client, json!({ "kind": "echo", "payload": 1, "queue": "elsewhere" })).await;
    until("it runs", LIMIT, || async { (slots_busy(&worker).await? > 0.0).then_some(()) }).await;

    fleet.redis.kill().expect("kill");
    let began = Instant::now();
    for id in [&running, &delayed, &queued] {
        let answer = client.post(&format!("/v1/jobs/{id}/cancel"), &json!({})).await.expect("an answer");
        assert_eq!((answer.status, &answer.json().expect("JSON")["state"]), (200, &json!("cancelled")));
    }
    until("its slot is free", LIMIT, || async { (slots_busy(&worker).await? == 0.0).then_some(()) }).await;
    println!("cancelled, and the slot free, after {:?}", began.elapsed());

    // Redis comes back without its memory or with it: what was cancelled is not run.
    fleet.redis.restart().expect("restart");
    let everywhere = on(&fleet.database, &fleet.redis.url(), &["worker"]).start().await.expect("worker");
    let last = submit(&client, json!({ "kind": "echo", "payload": 1, "queue": "elsewhere", "delay": "2s" })).await;
    assert_eq!(outcome(&client, &last).await["state"], "succeeded");
    assert_eq!(list(&client, "cancelled").await.len(), 3);
    for id in [&running, &delayed, &queued] {
        assert_eq!(outcome(&client, id).await["outcome"]["result"], json!(null));
    }
    drop((worker, everywhere));
}
