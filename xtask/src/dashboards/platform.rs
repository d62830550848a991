//! The platform under load, and a Prometheus that watches it.
//!
//! Real servers and processes: Postgres, Redis, an API, two workers, two schedulers, third parties that are well, ill and away. The load
//! makes happen what dashboards are there to show: jobs that succeed, are retried, die, wait, are late, crash their process or lose
//! their worker; a Redis and a Postgres that go away for a moment. It goes on until it is dropped.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use haul_testkit::http::{Client, Reply, Sink};
use haul_testkit::process::{self, Haul, haul};
use haul_testkit::{place, postgres, redis};
use http::Request;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::run::root;

const READY_TIMEOUT: Duration = Duration::from_secs(30);
const AWAY: Duration = Duration::from_secs(3);
const LEASE: &str = "2s";
/// Between one round of requests and the next.
const PAUSE: Duration = Duration::from_millis(200);

/// Everything that runs. Dropping it ends it.
pub(super) struct Platform {
    postgres: postgres::Server,
    redis: redis::Server,
    third_party: Sink,
    api: Haul,
    workers: [Haul; 2],
    _schedulers: [Haul; 2],
    _prometheus: Haul,
    prometheus_url: String,
    _directory: tempfile::TempDir,
}

impl Platform {
    /// Starts everything, and waits until Prometheus has seen every process.
    pub(super) async fn start() -> Result<Self> {
        let postgres = postgres::Server::start()?;
        let database = postgres.database();
        let redis = redis::Server::start(&redis::Options { append_only: true, settings: Vec::new() })?;
        let migrated = haul(&["migrate"]).env("DATABASE_URL", &database).run()?;
        ensure!(migrated.code == Some(0), "haul migrate failed: {}", migrated.stderr);
        let role = |role: &str| {
            haul(&[role])
                .env("DATABASE_URL", &database)
                .env("REDIS_URL", &redis.url())
                .env("HAUL_WORKER_LEASE", LEASE)
                .env("HAUL_REPAIR_AUDIT_INTERVAL", "5s")
                .env("HAUL_MAINTENANCE_SCHEDULES", "true")
                .env("HAUL_OUTGOING_ALLOW", "loopback")
        };
        let api = role("api").start().await?;
        let workers = [role("worker").start().await?, role("worker").start().await?];
        let schedulers = [role("scheduler").start().await?, role("scheduler").start().await?];
        let third_party = Sink::start().await?;
        third_party.respond("/ill", [Reply::status(500)]);
        let processes = [&api, &workers[0], &workers[1], &schedulers[0], &schedulers[1]];
        let directory = tempfile::tempdir()?;
        let (prometheus, prometheus_url) = prometheus(&directory, &processes.map(Haul::ops_url)).await?;
        Ok(Self {
            postgres,
            redis,
            third_party,
            api,
            workers,
            _schedulers: schedulers,
            _prometheus: prometheus,
            prometheus_url,
            _directory: directory,
        })
    }

    /// Where Prometheus is asked.
    pub(super) fn prometheus(&self) -> Client {
        Client::new(&self.prometheus_url)
    }

    /// The load, for as long as it is polled; ends only when something goes wrong that is not on purpose.
    pub(super) async fn load(&mut self) -> Result<()> {
        let (ill, well) = (self.third_party.url("/ill"), self.third_party.url("/well"));
        let gone = format!("http://127.0.0.1:{}/gone", place::free_port()?);
        let client = self.api.client();
        prepare(&client).await?;
        let submits = submit_for_ever(&client, &ill, &well, &gone);
        let (postgres, redis, workers) = (&mut self.postgres, &mut self.redis, &mut self.workers);
        let mishaps = async {
            loop {
                crash(workers).await?;
                sleep(AWAY).await;
                // A worker that stands still for longer than its lease, and comes back.
                workers[0].signal("STOP")?;
                sleep(2 * AWAY).await;
                workers[0].signal("CONT")?;
                redis.kill()?;
                sleep(AWAY).await;
                redis.restart()?;
                sleep(AWAY).await;
                redis.cli(&["FLUSHALL"])?;
                postgres.stop()?;
                sleep(AWAY).await;
                postgres.restart()?;
                sleep(2 * AWAY).await;
            }
        };
        tokio::select! {
            ended = submits => ended,
            ended = look_for_ever(&client) => ended,
            ended = mishaps => ended,
        }
    }
}

/// Schedules, a queue that is paused, and maintenance that is run by hand.
async fn prepare(client: &Client) -> Result<()> {
    let every = json!({"name": "each-second", "every": "1s", "job": {"kind": "echo", "payload": 1, "queue": "ticks"}});
    accepted(client, "/v1/schedules", &every).await?;
    accepted(client, "/v1/jobs", &json!({"kind": "echo", "payload": 1, "queue": "held"})).await?;
    let paused = client.post("/v1/queues/held/pause", &json!({})).await?;
    ensure!(paused.status == 200, "the queue is not paused: {}", paused.status);
    accepted(client, "/v1/jobs", &json!({"kind": "echo", "payload": 2, "queue": "held"})).await?;
    for kind in ["maintenance.keys", "maintenance.partitions"] {
        accepted(client, "/v1/jobs", &json!({"kind": kind, "payload": {}, "queue": "maintenance"})).await?;
    }
    // Runs for as long as a worker can be killed under it.
    let long = json!({"kind": "echo", "payload": {"sleep": "20s"}, "queue": "long", "max_attempts": 50});
    for _ in 0..4 {
        accepted(client, "/v1/jobs", &long).await?;
    }
    Ok(())
}

async fn accepted(client: &Client, path: &str, body: &Value) -> Result<()> {
    let answer = client.post(path, body).await?;
    ensure!(answer.status == 201, "{path}: {} {}", answer.status, String::from_utf8_lossy(&answer.body));
    Ok(())
}

/// What clients do, some five times a second.
async fn submit_for_ever(client: &Client, ill: &str, well: &str, gone: &str) -> Result<()> {
    let call = |url: &str| json!({"kind": "http.request", "payload": {"method": "POST", "url": url}, "queue": "calls"});
    let jobs = json!({"jobs": [
        {"kind": "echo", "payload": {"hello": "world"}},
        {"kind": "echo", "payload": {"fail": 1}, "queue": "mail", "retry": {"base": "100ms"}},
        {"kind": "echo", "payload": {"fail": true}, "queue": "mail", "max_attempts": 1},
        {"kind": "echo", "payload": {"sleep": "300ms"}, "queue": "mail"},
        {"kind": "echo", "payload": 1, "queue": "mail", "delay": "1h"},
        call(well), call(ill), call(gone),
    ]});
    for n in 0_u64.. {
        // Any answer will do, and so will none.
        drop(client.post("/v1/jobs/batch", &jobs).await);
        let keyed = Request::post("/v1/jobs")
            .header("content-type", "application/json")
            .header("idempotency-key", format!("key-{n}"));
        drop(client.send(keyed, r#"{"kind": "echo", "payload": 1}"#.into()).await);
        sleep(PAUSE).await;
    }
    Ok(())
}

/// What people do meanwhile. Unlike submits, which wait for the ledger a while, they are told at once that it is away.
async fn look_for_ever(client: &Client) -> Result<()> {
    let paths = ["/v1/jobs?limit=1", "/v1/queues", "/v1/nothing", "/v1/jobs/00000000-0000-7000-8000-000000000000"];
    loop {
        for path in paths {
            drop(client.get(path).await);
        }
        sleep(PAUSE).await;
    }
}

/// Kills a worker under its jobs, and then the processes in which the other one looks what is the matter with them.
async fn crash(workers: &mut [Haul; 2]) -> Result<()> {
    workers[0].kill()?;
    let end = Instant::now() + READY_TIMEOUT;
    let other = workers[1].pid().context("the other worker is gone")?;
    let alone = loop {
        let alone = children(other)?;
        if !alone.is_empty() || Instant::now() > end {
            break alone;
        }
        sleep(Duration::from_millis(200)).await;
    };
    // Time to be given its job.
    sleep(Duration::from_secs(1)).await;
    for process in alone {
        // The shell's own: a program named `kill` is not everywhere. One that has ended meanwhile is none to be killed.
        let kill = format!("kill -s ABRT {process}");
        std::process::Command::new("sh").args(["-c", &kill]).stderr(std::process::Stdio::null()).status()?;
    }
    workers[0].restart()?;
    workers[0].wait_ready().await
}

fn children(parent: u32) -> Result<Vec<u32>> {
    let mut children = Vec::new();
    for entry in fs::read_dir("/proc").context("no /proc")? {
        let Ok(process) = entry?.file_name().to_string_lossy().parse() else { continue };
        // One that ended in the meantime has no file any more.
        let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
        if status.lines().any(|line| line.strip_prefix("PPid:").is_some_and(|of| of.trim() == parent.to_string())) {
            children.push(process);
        }
    }
    Ok(children)
}

/// Debian's Prometheus with the rules of the checkout, looking every second.
async fn prometheus(directory: &tempfile::TempDir, targets: &[&str]) -> Result<(Haul, String)> {
    let targets: Vec<_> = targets.iter().map(|url| url.trim_start_matches("http://")).collect();
    let rules = root().join("dashboards/prometheus/rules/*.yml");
    let config = json!({
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [rules],
        "scrape_configs": [{"job_name": "haul", "static_configs": [{"targets": targets}]}],
    });
    // YAML reads JSON.
    let file = directory.path().join("prometheus.yml");
    fs::write(&file, config.to_string())?;
    let program = place::on_path("prometheus").context("no prometheus")?;
    let address = format!("127.0.0.1:{}", place::free_port()?);
    let arguments = [
        format!("--config.file={}", file.display()),
        format!("--storage.tsdb.path={}", directory.path().join("data").display()),
        format!("--web.listen-address={address}"),
    ];
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let running = process::program(program, &arguments).spawn()?;
    running.wait_output("Server is ready to receive web requests", READY_TIMEOUT)?;
    Ok((running, format!("http://{address}")))
}
