//! The load: everything that dashboards are there to show is made to happen, again and again, until it is dropped.
//!
//! Jobs succeed, are retried, die, wait, are late, crash their process or lose their worker; payments, mails, events
//! and calls go to third parties that are ill; schedules fire, pass over ticks, are missed and cannot fire; Redis may
//! evict, Redis and Postgres go away for a moment. Nobody waits for a moment in here: whoever asks looks until he has
//! seen it.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use haul_testkit::http::Client;
use haul_testkit::postgres;
use haul_testkit::process::Haul;
use http::Request;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::parties::Parties;
use super::platform::Platform;

/// For how long somebody is away, or does something wrong: a few looks of Prometheus', and of who looks at Redis.
const AWAY: Duration = Duration::from_secs(3);
const CRASH_TIMEOUT: Duration = Duration::from_secs(30);
/// Between one round of requests and the next.
const PAUSE: Duration = Duration::from_millis(200);
/// Jobs under which a worker is killed: so many that each worker has some.
const LONG: usize = 8;
/// A tick is missed when it is a minute old.
const MISSED: Duration = Duration::from_secs(65);

impl Platform {
    /// The load, for as long as it is polled; ends only when something goes wrong that is not on purpose.
    pub(super) async fn load(&mut self) -> Result<()> {
        let client = self.api.client();
        prepare(&client).await?;
        make_schedules(&client, &self.postgres, &self.database).await?;
        let (submits, orders) = (submit_for_ever(&client, &self.parties), order_for_ever(&client, &self.parties));
        let (postgres, redis, workers) = (&mut self.postgres, &mut self.redis, &mut self.workers);
        let long = json!({"kind": "echo", "payload": {"sleep": "20s"}, "queue": "long", "max_attempts": 50});
        let mishaps = async {
            loop {
                // Those that a worker is killed under. Any answer will do.
                drop(client.post("/v1/jobs/batch", &json!({"jobs": vec![long.clone(); LONG]})).await);
                sleep(PAUSE).await;
                crash(workers).await?;
                sleep(AWAY).await;
                // A worker that stands still for longer than its lease, and comes back.
                workers[0].signal("STOP")?;
                sleep(2 * AWAY).await;
                workers[0].signal("CONT")?;
                redis.cli(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"])?;
                sleep(AWAY).await;
                redis.cli(&["CONFIG", "SET", "maxmemory-policy", "noeviction"])?;
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
            ended = orders => ended,
            ended = resume_what_missed(&client) => ended,
            ended = look_for_ever(&client) => ended,
            ended = mishaps => ended,
        }
    }
}

/// A queue that is paused, and maintenance that is run by hand, rightly and not.
async fn prepare(client: &Client) -> Result<()> {
    accepted(client, "/v1/jobs", &json!({"kind": "echo", "payload": 1, "queue": "held"})).await?;
    let paused = client.post("/v1/queues/held/pause", &json!({})).await?;
    ensure!(paused.status == 200, "the queue is not paused: {}", paused.status);
    accepted(client, "/v1/jobs", &json!({"kind": "echo", "payload": 2, "queue": "held"})).await?;
    for kind in ["maintenance.keys", "maintenance.partitions"] {
        for payload in [json!({}), json!("no wishes")] {
            accepted(client, "/v1/jobs", &json!({"kind": kind, "payload": payload, "queue": "maintenance"})).await?;
        }
    }
    Ok(())
}

/// Schedules that fire, that pass over ticks while a job of theirs runs, that miss some while they are paused, and that
/// cannot fire.
async fn make_schedules(client: &Client, postgres: &postgres::Server, database: &str) -> Result<()> {
    let job = json!({"kind": "echo", "payload": 1, "queue": "ticks"});
    let slow = json!({"kind": "echo", "payload": {"sleep": "4s"}, "queue": "ticks"});
    for schedule in [
        json!({"name": "each-second", "every": "1s", "job": job}),
        json!({"name": "slow", "every": "1s", "overlap": "skip", "job": slow}),
        json!({"name": "missed", "every": "1s", "missed": {"policy": "skip"}, "job": job}),
        json!({"name": "unreadable", "every": "1s", "job": job}),
    ] {
        accepted(client, "/v1/schedules", &schedule).await?;
    }
    let paused = client.post("/v1/schedules/missed/pause", &json!({})).await?;
    ensure!(paused.status == 200, "the schedule is not paused: {}", paused.status);
    let database = database.rsplit('/').next().context("a database without a name")?;
    // As a later version may have written it.
    postgres.psql(database, "UPDATE haul.schedule SET template = '{\"moon\": 1}' WHERE name = 'unreadable'")?;
    Ok(())
}

/// Resumes the schedule that is paused, when it has missed ticks.
async fn resume_what_missed(client: &Client) -> Result<()> {
    sleep(MISSED).await;
    loop {
        // Any answer will do but none: Postgres may be away.
        drop(client.post("/v1/schedules/missed/resume", &json!({})).await);
        sleep(AWAY).await;
    }
}

async fn accepted(client: &Client, path: &str, body: &Value) -> Result<()> {
    let answer = client.post(path, body).await?;
    ensure!(answer.status == 201, "{path}: {} {}", answer.status, String::from_utf8_lossy(&answer.body));
    Ok(())
}

/// What clients do, some five times a second.
async fn submit_for_ever(client: &Client, parties: &Parties) -> Result<()> {
    let call = |url: &str| json!({"kind": "http.request", "payload": {"method": "POST", "url": url}, "queue": "calls"});
    let [well, ill, moody, gone] = parties.urls().map(|url| call(&url));
    let jobs = json!({"jobs": [
        {"kind": "echo", "payload": {"hello": "world"}},
        {"kind": "echo", "payload": {"fail": 1}, "queue": "mail", "retry": {"base": "100ms"}},
        {"kind": "echo", "payload": {"fail": true}, "queue": "mail", "max_attempts": 1},
        {"kind": "echo", "payload": {"sleep": "300ms"}, "queue": "mail"},
        {"kind": "echo", "payload": 1, "queue": "mail", "delay": "1h"},
        well, ill, moody, gone,
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

/// What a shop does: charges, mails and events.
async fn order_for_ever(client: &Client, parties: &Parties) -> Result<()> {
    for number in 0_u64.. {
        parties.order(client, number).await;
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
    let end = Instant::now() + CRASH_TIMEOUT;
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
