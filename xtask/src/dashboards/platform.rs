//! The platform, and a Prometheus that watches it.
//!
//! Real servers and processes: Postgres, Redis, an API, two workers, two schedulers, and third parties. What is done
//! with them is the load's business ([`super::load`]).

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use haul_testkit::http::Client;
use haul_testkit::process::{self, Haul, haul};
use haul_testkit::{place, postgres, redis};
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::parties::Parties;
use crate::run::root;

const READY_TIMEOUT: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(200);
const LEASE: &str = "2s";

/// Everything that runs. Dropping it ends it.
pub(super) struct Platform {
    pub(super) postgres: postgres::Server,
    pub(super) database: String,
    pub(super) redis: redis::Server,
    pub(super) parties: Parties,
    pub(super) api: Haul,
    pub(super) workers: [Haul; 2],
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
        let parties = Parties::start().await?;
        let role = |role: &str| {
            parties
                .known_to(haul(&[role]))
                .env("DATABASE_URL", &database)
                .env("REDIS_URL", &redis.url())
                .env("HAUL_WORKER_LEASE", LEASE)
                .env("HAUL_REPAIR_AUDIT_INTERVAL", "5s")
                .env("HAUL_MAINTENANCE_SCHEDULES", "true")
                .env("HAUL_JOBS_RETRY_BASE", "500ms")
                .env("HAUL_JOBS_RETRY_CAP", "2s")
        };
        let api = role("api").start().await?;
        let workers = [role("worker").start().await?, role("worker").start().await?];
        let schedulers = [role("scheduler").start().await?, role("scheduler").start().await?];
        parties.introduce(&api).await?;
        let processes = [&api, &workers[0], &workers[1], &schedulers[0], &schedulers[1]];
        let directory = tempfile::tempdir()?;
        let (prometheus, prometheus_url) = prometheus(&directory, &processes.map(Haul::ops_url)).await?;
        is_seen_by(&Client::new(&prometheus_url), processes.len()).await?;
        Ok(Self {
            postgres,
            database,
            redis,
            parties,
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

/// Waits until Prometheus has read the figures of so many processes: what moves later can be seen to move.
async fn is_seen_by(prometheus: &Client, processes: usize) -> Result<()> {
    let (end, all) = (Instant::now() + READY_TIMEOUT, processes.to_string());
    loop {
        let answer = prometheus.get("/api/v1/query?query=sum(up)").await?.json()?;
        if answer["data"]["result"][0]["value"][1] == *all {
            return Ok(());
        }
        ensure!(Instant::now() < end, "Prometheus does not see all of {processes} processes: {answer}");
        sleep(LOOK_EVERY).await;
    }
}
