//! A master of Redis dies under load, with the real binary: every acknowledged job ends all the same.

use crate::{
    production::on,
    world::{text, until_all_succeeded},
};
use haul_testkit::{
    http::Client,
    postgres,
    process::{Haul, haul},
    redis::{Cluster, Sentinel},
};
use serde_json::json;
use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    task::{JoinSet, block_in_place},
    time::sleep,
};

/// Leases that were given in the dead master's last moments are waited for.
const LEASE: &str = "3s";
/// From the last submit on.
const LIMIT: Duration = Duration::from_secs(45);

/// An API, two workers, and clients that submit throughout.
struct Fleet {
    api: Haul,
    _workers: Vec<Haul>,
    acknowledged: Arc<Mutex<BTreeSet<String>>>,
    is_over: Arc<AtomicBool>,
    clients: JoinSet<()>,
}

impl Fleet {
    async fn start(redis: &str) -> Self {
        let database = postgres::shared().database();
        let migrated = haul(&["migrate"]).env("DATABASE_URL", &database).run().expect("migrate");
        assert_eq!(migrated.code, Some(0), "{migrated:?}");
        let api = on(&database, redis, &["api"]).start().await.expect("api");
        let mut workers = Vec::new();
        for _ in 0..2 {
            let worker = on(&database, redis, &["worker", "--concurrency", "20"]).env("HAUL_WORKER_LEASE", LEASE);
            workers.push(worker.start().await.expect("worker"));
        }
        let (acknowledged, is_over) = (Arc::default(), Arc::<AtomicBool>::default());
        let mut clients = JoinSet::new();
        for queue in 0..4 {
            let (acknowledged, is_over) = (Arc::clone(&acknowledged), Arc::clone(&is_over));
            clients.spawn(submit_until(is_over, api.client(), format!("q{queue}"), acknowledged));
        }
        Self { api, _workers: workers, acknowledged, is_over, clients }
    }

    fn acknowledged(&self) -> usize {
        self.acknowledged.lock().expect("a lock").len()
    }

    /// Waits until so many more jobs are acknowledged.
    async fn accept(&self, more: usize) {
        let (target, end) = (self.acknowledged() + more, Instant::now() + LIMIT);
        while self.acknowledged() < target {
            assert!(Instant::now() < end, "{} of {target} jobs were acknowledged", self.acknowledged());
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Ends the load; every acknowledged job has to succeed.
    async fn end(mut self) {
        assert!(self.clients.try_join_next().is_none(), "a client gave up");
        // Each waits for its last answer: what is accepted is acknowledged.
        self.is_over.store(true, Ordering::Relaxed);
        while let Some(ended) = self.clients.join_next().await {
            ended.expect("a client ends");
        }
        let stopped_at = Instant::now();
        let ids = self.acknowledged.lock().expect("a lock").clone();
        until_all_succeeded(&self.api.client(), &ids, LIMIT).await;
        println!(
            "{} jobs; the last ended {:.1} s after the last submit",
            ids.len(),
            stopped_at.elapsed().as_secs_f64()
        );
    }
}

async fn submit_until(
    is_over: Arc<AtomicBool>,
    client: Client,
    queue: String,
    acknowledged: Arc<Mutex<BTreeSet<String>>>,
) {
    for n in 0_u64.. {
        if is_over.load(Ordering::Relaxed) {
            return;
        }
        // Short ones, delayed ones, and now and then one that is running when the master dies.
        let job = match n % 10 {
            0 => json!({ "kind": "echo", "queue": queue, "payload": { "sleep": "2s" } }),
            1 => json!({ "kind": "echo", "queue": queue, "payload": n, "delay": "1s" }),
            _ => json!({ "kind": "echo", "queue": queue, "payload": n }),
        };
        let answer = client.post("/v1/jobs", &job).await.expect("an answer");
        // Redis is no part of accepting.
        assert_eq!(answer.status, 201, "{}", text(&answer));
        let id = answer.json().expect("JSON")["id"].as_str().expect("an id").to_owned();
        acknowledged.lock().expect("a lock").insert(id);
        sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sentinel_failover_under_load_loses_no_acknowledged_job() {
    let mut sentinel = Sentinel::start(1, 3).expect("redis");
    let fleet = Fleet::start(&sentinel.url()).await;
    fleet.accept(300).await;
    let killed = sentinel.kill_master().expect("kill");
    block_in_place(|| sentinel.wait_failed_over(killed)).expect("failed over");
    fleet.accept(300).await;
    sentinel.servers[killed].restart().expect("restart");
    fleet.accept(300).await;
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_failover_under_load_loses_no_acknowledged_job() {
    let mut cluster = Cluster::start(3, 1).expect("redis");
    let fleet = Fleet::start(&cluster.urls()).await;
    fleet.accept(300).await;
    cluster.kill_master(0).expect("kill");
    block_in_place(|| cluster.wait_failed_over(0)).expect("failed over");
    fleet.accept(300).await;
    cluster.servers[0].restart().expect("restart");
    fleet.accept(300).await;
    fleet.end().await;
}
