//! The promise of transactional handlers, from outside: workers are killed, and every order is shipped once.

use haul_testkit::{
    postgres,
    process::{Command, Finished, Haul, program},
    redis,
};
use secrecy::SecretString;
use std::{thread, time::Duration};
use tokio::time::{Instant, sleep};

/// Orders that are placed while one worker is killed.
const ORDERS_PER_KILL: u32 = 100;

/// This service on stores of its own.
struct Service {
    database: String,
    redis: redis::Server,
}

impl Service {
    async fn new() -> Self {
        let database = postgres::shared().database();
        haul::postgres::migrate(&SecretString::from(database.as_str())).await.expect("migrate");
        let redis = redis::Server::start(&redis::Options::default()).expect("redis");
        let service = Self { database, redis };
        service.run(&["setup"]);
        service
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let command = program("ship-orders", arguments).env("DATABASE_URL", &self.database);
        // Short leases: what a killed worker held comes back soon. As many slots as there are transactions.
        let command = command.env("HAUL_WORKER_LEASE", "2s").env("HAUL_WORKER_CONCURRENCY", "20");
        command.env("REDIS_URL", &self.redis.url())
    }

    fn run(&self, arguments: &[&str]) -> Finished {
        let finished = self.command(arguments).run().expect("it runs");
        assert_eq!(finished.code, Some(0), "{finished:?}");
        finished
    }

    fn sql(&self, statement: &str) -> String {
        let name = self.database.rsplit('/').next().expect("a name");
        postgres::shared().psql(name, statement).expect("psql")
    }

    async fn until_all_are_shipped(&self, limit: Duration) {
        let end = Instant::now() + limit;
        while self.sql("SELECT count(*) FROM orders WHERE shipped_at IS NULL") != "0" {
            assert!(Instant::now() < end, "not within {limit:?}: {}", self.run(&["orders", "status"]).stdout);
            sleep(Duration::from_millis(200)).await;
        }
    }
}

async fn every_order_is_shipped_once(kills: u32) {
    let service = Service::new().await;
    let mut workers: Vec<Haul> = Vec::new();
    for _ in 0..2 {
        workers.push(service.command(&["worker"]).start().await.expect("worker"));
    }
    for kill in 0..kills {
        let place = service.command(&["orders", "place", "a chair", "--count", &ORDERS_PER_KILL.to_string()]);
        let placing = thread::spawn(move || place.run().expect("it runs"));
        sleep(Duration::from_millis(rand::random_range(0..600))).await;
        let worker = &mut workers[(kill % 2) as usize];
        worker.kill().expect("kill -9");
        worker.restart().expect("restart");
        let placed = placing.join().expect("placing");
        assert_eq!(placed.code, Some(0), "{placed:?}");
    }
    // A worker that dies while it brings tickets from the ledger to Redis leaves them to a sweep after 60 s.
    service.until_all_are_shipped(Duration::from_secs(180)).await;

    let orders = kills * ORDERS_PER_KILL;
    let status = service.run(&["orders", "status"]).stdout;
    assert_eq!(status, format!("{orders} orders, {orders} shipped, 0 shipped more than once\n"));
    let shipments = service.sql("SELECT count(*), count(DISTINCT order_id), count(DISTINCT job) FROM shipment");
    assert_eq!(shipments, format!("{orders}|{orders}|{orders}"));
    let others = service.sql("SELECT count(*) FROM haul.outcome WHERE state <> 1");
    assert_eq!(others, "0", "no job ended in any other way");
    for worker in &mut workers {
        worker.signal("TERM").expect("signal");
        assert_eq!(worker.wait_exit(Duration::from_secs(30)).expect("exit").code, 0);
    }
}

#[tokio::test]
async fn workers_killed_at_random_ship_every_order_once() {
    every_order_is_shipped_once(6).await;
}

#[tokio::test]
#[ignore = "the full size: some minutes"]
async fn workers_killed_50_times_at_random_ship_every_order_once() {
    every_order_is_shipped_once(50).await;
}

#[tokio::test]
async fn an_order_that_does_not_exist_is_a_dead_job() {
    let service = Service::new().await;
    let _worker = service.command(&["worker"]).start().await.expect("worker");
    service.sql("SELECT haul.enqueue('order.ship', '{\"order\": 404}')");
    let end = Instant::now() + Duration::from_secs(30);
    while service.sql("SELECT count(*) FROM haul.outcome") != "1" {
        assert!(Instant::now() < end, "it has no outcome");
        sleep(Duration::from_millis(50)).await;
    }
    let error = service.sql("SELECT error FROM haul.outcome WHERE state = 2");
    assert!(error.contains("there is no order 404"), "{error}");
    assert_eq!(service.sql("SELECT count(*) FROM shipment"), "0");
}
