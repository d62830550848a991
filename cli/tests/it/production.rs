//! One `haul api` and two `haul worker` on a real Postgres and a real Redis.

use crate::world::{list, outcome, submit, submit_bulk, until, until_all_succeeded};
use haul_testkit::{
    http::Client,
    postgres,
    process::{Command, Haul, haul},
    redis,
};
use serde_json::json;
use std::time::{Duration, Instant};

/// A database of its own, migrated, a Redis of its own, and the roles on both.
pub(crate) struct Fleet {
    pub(crate) database: String,
    pub(crate) redis: redis::Server,
    pub(crate) api: Haul,
    pub(crate) workers: Vec<Haul>,
}

impl Fleet {
    pub(crate) async fn start(workers: usize) -> Self {
        let database = postgres::shared().database();
        let redis = redis::Server::start(&redis::Options::default()).expect("redis");
        let migrated = haul(&["migrate"]).env("DATABASE_URL", &database).run().expect("migrate");
        assert_eq!(migrated.code, Some(0), "{migrated:?}");
        let role = |role| on(&database, &redis.url(), &[role]);
        let api = role("api").start().await.expect("api");
        let mut started = Vec::new();
        for _ in 0..workers {
            started.push(role("worker").start().await.expect("worker"));
        }
        Self { database, redis, api, workers: started }
    }

    pub(crate) fn client(&self) -> Client {
        self.api.client()
    }
}

/// A command on these stores.
pub(crate) fn on(database: &str, redis: &str, arguments: &[&str]) -> Command {
    haul(arguments).env("DATABASE_URL", database).env("REDIS_URL", redis)
}

pub(crate) fn sql(database: &str, statement: &str) -> String {
    let name = database.rsplit('/').next().expect("a name");
    postgres::shared().psql(name, statement).expect("psql")
}

async fn every_job_ends(jobs: usize, limit: Duration) {
    let mut fleet = Fleet::start(2).await;
    let client = fleet.client();
    let mut ids = std::collections::BTreeSet::new();
    for _ in 0..jobs.div_ceil(10_000) {
        let part = jobs.min(10_000);
        ids.extend(submit_bulk(&client, (0..part).map(|n| json!({ "kind": "echo", "payload": n }))).await);
    }
    until_all_succeeded(&client, &ids, limit).await;
    let mut worked = 0;
    for worker in &mut fleet.workers {
        let metrics = Client::new(worker.ops_url()).get("/metrics").await.expect("metrics");
        worked += usize::from(crate::world::text(&metrics).contains("haul_attempts_total{"));
        worker.signal("TERM").expect("signal");
        assert_eq!(worker.wait_exit(Duration::from_secs(30)).expect("exit").code, 0);
    }
    assert_eq!(worked, 2, "both workers had their share");
}

#[tokio::test]
async fn an_api_and_two_workers_finish_every_job() {
    every_job_ends(5_000, Duration::from_secs(60)).await;
}

#[tokio::test]
#[ignore = "the full size: some minutes in a debug build"]
async fn an_api_and_two_workers_finish_200_000_jobs() {
    every_job_ends(200_000, Duration::from_secs(900)).await;
}

/// Half of the jobs ready, half delayed, each 5 ms long; Redis is emptied when some have run.
async fn survive_flushall(jobs: usize, limit: Duration) -> Duration {
    let fleet = Fleet::start(2).await;
    let client = fleet.client();
    let job = |n: usize| match n % 2 {
        0 => json!({ "kind": "echo", "payload": { "n": n, "sleep": "5ms" } }),
        _ => json!({ "kind": "echo", "payload": { "n": n, "sleep": "5ms" }, "delay": "5s" }),
    };
    let ids = submit_bulk(&client, (0..jobs).map(job)).await;
    until("some jobs have run", Duration::from_secs(30), || async {
        let page = client.get("/v1/jobs?state=succeeded&limit=1").await.ok()?.json().ok()?;
        (!page["data"].as_array()?.is_empty()).then_some(())
    })
    .await;
    fleet.redis.cli(&["FLUSHALL"]).expect("flushall");
    let flushed_at = Instant::now();
    assert!(list(&client, "succeeded").await.len() < jobs, "it was emptied in the middle");
    until_all_succeeded(&client, &ids, limit).await;
    flushed_at.elapsed()
}

#[tokio::test]
async fn an_emptied_redis_loses_no_job() {
    survive_flushall(2_000, Duration::from_secs(60)).await;
}

#[tokio::test]
#[ignore = "the full size, timed: for a release build (HAUL_BIN)"]
async fn an_emptied_redis_is_made_good_within_30_s_for_20_000_jobs() {
    let took = survive_flushall(20_000, Duration::from_secs(120)).await;
    println!("20,000 jobs ended {:.1} s after FLUSHALL", took.as_secs_f64());
    assert!(took < Duration::from_secs(30), "{took:?}");
}

#[tokio::test]
async fn a_job_enqueued_in_sql_exists_if_and_only_if_its_transaction_commits() {
    let fleet = Fleet::start(1).await;
    let client = fleet.client();
    // The queue is known, and the worker at rest: what is measured below is the way of one job.
    let first = submit(&client, json!({ "kind": "echo", "payload": 0 })).await;
    outcome(&client, &first).await;

    sql(&fleet.database, "BEGIN; SELECT haul.enqueue('echo', '\"never\"'); ROLLBACK");
    let id = sql(&fleet.database, "BEGIN; SELECT haul.enqueue('echo', '\"now\"'); COMMIT");
    let id = id.lines().find(|line| line.len() == 36).expect("the job's id").to_owned();
    let job = outcome(&client, &id).await;
    assert_eq!((&job["state"], &job["outcome"]["result"]), (&json!("succeeded"), &json!("now")));
    assert_eq!(list(&client, "succeeded").await.len(), 2, "nothing came of what was rolled back");
}

#[tokio::test]
async fn a_worker_keeps_to_the_queues_that_it_is_given() {
    let fleet = Fleet::start(0).await;
    let client = fleet.client();
    let job = |queue: &str| json!({ "kind": "echo", "payload": 1, "queue": queue });
    let other = submit(&client, job("other")).await;
    let mail = submit(&client, job("mail")).await;
    let worker =
        on(&fleet.database, &fleet.redis.url(), &["worker", "--queues", "mail,reports:3", "--concurrency", "2"]);
    let _worker = worker.start().await.expect("worker");
    assert_eq!(outcome(&client, &mail).await["state"], "succeeded");
    let answer = client.get(&format!("/v1/jobs/{other}")).await.expect("an answer").json().expect("JSON");
    assert_eq!(answer["state"], "queued");
}
