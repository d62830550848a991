//! Postgres or Redis away: at the start, and later.

use crate::{
    production::{Fleet, on},
    world::{outcome, submit, until},
};
use haul_testkit::{http::Client, postgres, process::haul, redis};
use serde_json::json;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(30);

async fn ready(url: &str) -> Option<u16> {
    Client::new(url).get("/readyz").await.ok().map(|answer| answer.status)
}

#[tokio::test]
async fn stores_that_are_down_at_the_start_are_waited_for_visibly() {
    let mut database = postgres::Server::start().expect("postgres");
    let mut cache = redis::Server::start(&redis::Options::default()).expect("redis");
    let url = database.database();
    assert_eq!(haul(&["migrate"]).env("DATABASE_URL", &url).run().expect("migrate").code, Some(0));
    database.stop().expect("stop");
    cache.kill().expect("kill");

    let api = on(&url, &cache.url(), &["api"]).spawn().expect("api");
    let worker = on(&url, &cache.url(), &["worker"]).spawn().expect("worker");
    for process in [&api, &worker] {
        process.wait_output("waiting for Postgres", LIMIT).expect("it says what it waits for");
        assert_eq!(ready(process.ops_url()).await, Some(503));
    }
    let client = api.client();
    let job = json!({ "kind": "echo", "payload": 1 });
    let answer = client.post("/v1/jobs", &job).await.expect("an answer");
    assert_eq!(answer.status, 503);
    assert!(answer.header("retry-after").is_some());

    database.restart().expect("restart");
    for process in [&api, &worker] {
        process.wait_output("waiting for Redis", LIMIT).expect("it says what it waits for");
    }
    cache.restart().expect("restart");
    for process in [&api, &worker] {
        process.wait_ready().await.expect("ready");
    }
    let id = submit(&client, job).await;
    assert_eq!(outcome(&client, &id).await["state"], "succeeded");
}

#[tokio::test]
async fn without_postgres_submits_are_503_and_everything_resumes_by_itself() {
    let mut database = postgres::Server::start().expect("postgres");
    let cache = redis::Server::start(&redis::Options::default()).expect("redis");
    let url = database.database();
    assert_eq!(haul(&["migrate"]).env("DATABASE_URL", &url).run().expect("migrate").code, Some(0));
    let api = on(&url, &cache.url(), &["api"]).start().await.expect("api");
    let _worker = on(&url, &cache.url(), &["worker"]).start().await.expect("worker");
    let client = api.client();
    let job = json!({ "kind": "echo", "payload": 1 });
    outcome(&client, &submit(&client, job.clone()).await).await;

    database.stop().expect("stop");
    let answer = client.post("/v1/jobs", &job).await.expect("an answer");
    assert_eq!(answer.status, 503);
    until("it is not ready", LIMIT, || async { (ready(api.ops_url()).await == Some(503)).then_some(()) }).await;

    database.restart().expect("restart");
    let id = until("a submit is accepted", LIMIT, || async {
        let answer = client.post("/v1/jobs", &job).await.ok().filter(|answer| answer.status == 201)?;
        Some(answer.json().ok()?["id"].as_str()?.to_owned())
    })
    .await;
    assert_eq!(outcome(&client, &id).await["state"], "succeeded");
    until("it is ready", LIMIT, || async { (ready(api.ops_url()).await == Some(200)).then_some(()) }).await;
}

#[tokio::test]
async fn without_redis_submits_are_accepted_and_run_when_it_is_back() {
    let mut fleet = Fleet::start(1).await;
    let client = fleet.client();
    let job = json!({ "kind": "echo", "payload": 1 });
    outcome(&client, &submit(&client, job.clone()).await).await;

    fleet.redis.kill().expect("kill");
    let id = submit(&client, job).await;
    fleet.redis.restart().expect("restart");
    let mut job = outcome(&client, &id).await;
    assert_eq!(job["state"].take(), "succeeded");
}

#[tokio::test]
async fn a_redis_that_may_evict_is_refused_with_the_command_that_mends_it() {
    let url = postgres::shared().database();
    assert_eq!(haul(&["migrate"]).env("DATABASE_URL", &url).run().expect("migrate").code, Some(0));
    let settings = ["--maxmemory-policy", "allkeys-lru"].map(str::to_owned).to_vec();
    let cache = redis::Server::start(&redis::Options { settings, ..Default::default() }).expect("redis");
    let finished = on(&url, &cache.url(), &["worker"]).run().expect("worker");
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(finished.stderr.contains("noeviction"), "{}", finished.stderr);
}

#[tokio::test]
async fn an_unmigrated_database_is_refused_with_the_command_that_mends_it() {
    let cache = redis::Server::start(&redis::Options::default()).expect("redis");
    let finished = on(&postgres::shared().database(), &cache.url(), &["worker"]).run().expect("worker");
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(finished.stderr.contains("haul migrate"), "{}", finished.stderr);
}

#[tokio::test]
async fn a_password_is_never_shown_while_a_store_is_waited_for() {
    let url = "postgres://haul:hush-hush@127.0.0.1:9/haul";
    let mut api = on(url, "redis://:hush-hush@127.0.0.1:9", &["api"]).spawn().expect("api");
    api.wait_output("waiting for Postgres", LIMIT).expect("it waits");
    assert!(api.output().iter().all(|line| !line.contains("hush")), "{:?}", api.output());
    api.signal("TERM").expect("signal");
    assert_eq!(api.wait_exit(LIMIT).expect("exit").code, 0);
}
