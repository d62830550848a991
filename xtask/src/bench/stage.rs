//! What a benchmark runs on: private servers set up as production is told to, and the release binary on them.

use super::http::Connection;
use crate::{
    run::{cargo, root, run},
    tools::{self, Tool},
};
use anyhow::{Context, Result, ensure};
use haul_testkit::{postgres, process, redis};
use std::{
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

const DATABASE: &str = "bench";
const POLL: Duration = Duration::from_millis(20);
/// The kernel's unit of CPU time in /proc, on every Linux that Rust runs on: 1/100 s.
const TICKS_PER_SECOND: f64 = 100.0;

/// Postgres and Redis, with the database migrated.
pub(crate) struct Stage {
    postgres: postgres::Server,
    redis: redis::Server,
    binary: String,
}

impl Stage {
    /// Builds the binary, unless one is given, and starts the servers.
    pub(crate) fn set_up(binary: Option<&Path>) -> Result<Self> {
        Self::set_up_with(binary, &[])
    }

    /// The same, with further settings of Postgres.
    pub(crate) fn set_up_with(binary: Option<&Path>, settings: &[&str]) -> Result<Self> {
        tools::ensure(&[Tool::Postgres, Tool::Redis])?;
        let binary = match binary {
            Some(binary) => std::path::absolute(binary)?,
            None => {
                run(cargo().args(["build", "--release", "--package", "haul-cli"]))?;
                root().join("target/release/haul")
            }
        };
        Self::with(binary.display().to_string(), settings)
    }

    /// Another one with servers of its own, for the same binary.
    pub(crate) fn another(&self) -> Result<Self> {
        Self::with(self.binary.clone(), &[])
    }

    fn with(binary: String, settings: &[&str]) -> Result<Self> {
        let mut postgres = postgres::Server::start()?;
        for setting in ["shared_buffers = '1GB'", "max_wal_size = '4GB'"].iter().chain(settings) {
            postgres.psql("postgres", &format!("ALTER SYSTEM SET {setting}"))?;
        }
        postgres.stop()?;
        postgres.restart()?;
        let redis = redis::Server::start(&redis::Options { append_only: true, settings: Vec::new() })?;
        let mut stage = Self { postgres, redis, binary };
        stage.renew()?;
        Ok(stage)
    }

    /// Empties both stores. Nothing that was started on them may run any longer.
    pub(crate) fn renew(&mut self) -> Result<()> {
        self.postgres.psql("postgres", &format!("DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)"))?;
        self.postgres.psql("postgres", &format!("CREATE DATABASE {DATABASE}"))?;
        // What was written before would be written out by the next run otherwise.
        self.postgres.psql("postgres", "CHECKPOINT")?;
        self.redis.cli(&["FLUSHALL"])?;
        let migrated = self.command(&["migrate"]).run()?;
        ensure!(migrated.code == Some(0), "haul migrate failed: {}", migrated.stderr);
        Ok(())
    }

    /// Starts a role and waits until it is ready.
    pub(crate) async fn start(&self, arguments: &[&str]) -> Result<process::Haul> {
        self.start_with(arguments, &[]).await
    }

    /// The same, with further settings.
    pub(crate) async fn start_with(&self, arguments: &[&str], settings: &[(&str, &str)]) -> Result<process::Haul> {
        let command = self.command(arguments);
        settings.iter().fold(command, |command, (name, value)| command.env(name, value)).start().await
    }

    /// Asks the ledger directly.
    pub(crate) fn sql(&self, sql: &str) -> Result<String> {
        self.postgres.psql(DATABASE, sql)
    }

    /// What the ledger's Postgres takes in of bare rows, on one connection.
    pub(crate) fn bare_rows_per_second(&self) -> Result<f64> {
        const COMMITS: usize = 200;
        self.sql("CREATE TABLE bare (id uuid PRIMARY KEY, queue text, kind text, payload text)")?;
        let begun = Instant::now();
        self.sql(&format!(
            "DO $$ BEGIN FOR i IN 1..{COMMITS} LOOP
                INSERT INTO bare SELECT gen_random_uuid(), 'default', 'echo', repeat('x', 200) FROM generate_series(1, 1000);
                COMMIT;
            END LOOP; END $$"
        ))?;
        let rate = (COMMITS * 1_000) as f64 / begun.elapsed().as_secs_f64();
        self.sql("DROP TABLE bare")?;
        Ok(rate)
    }

    /// Waits until every job has an outcome, and makes sure that each has just one.
    pub(crate) async fn wait_settled(&self, jobs: usize, limit: Duration) -> Result<()> {
        let end = Instant::now() + limit;
        loop {
            let settled: usize = self.sql("SELECT count(*) FROM haul.outcome")?.parse()?;
            if settled == jobs {
                return Ok(());
            }
            ensure!(Instant::now() < end, "{settled} of {jobs} jobs have an outcome after {limit:?}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    fn command(&self, arguments: &[&str]) -> process::Command {
        process::program(&self.binary, arguments)
            .env("DATABASE_URL", &self.postgres.url(DATABASE))
            .env("REDIS_URL", &self.redis.url())
            .env("HAUL_LOG_FILTER", "warn")
    }
}

/// `host:port` of a URL.
pub(crate) fn address(url: &str) -> Result<&str> {
    url.strip_prefix("http://").context("not an http URL")
}

/// A counter of a process, summed over its labels.
pub(crate) struct Counter {
    connection: Connection,
    prefix: String,
    part: &'static str,
}

impl Counter {
    /// The lines of `/metrics` that begin with `name` and have `part` in their labels.
    pub(crate) async fn open(ops_url: &str, name: &str, part: &'static str) -> Result<Self> {
        Ok(Self { connection: Connection::open(address(ops_url)?).await?, prefix: format!("{name}{{"), part })
    }

    /// Its value now.
    pub(crate) async fn read(&mut self) -> Result<f64> {
        let answer = self.connection.get("/metrics").await?;
        let text = String::from_utf8(answer.body)?;
        let values = text.lines().filter(|line| line.starts_with(&self.prefix) && line.contains(self.part));
        Ok(values.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum())
    }

    /// Waits until it has reached `value`. Returns the rate between the first sighting of growth and then, per second.
    pub(crate) async fn rate_until(&mut self, value: f64, limit: Duration) -> Result<f64> {
        let end = Instant::now() + limit;
        let mut first: Option<(Instant, f64)> = None;
        loop {
            let count = self.read().await?;
            let now = Instant::now();
            match first {
                None if count > 0.0 => first = Some((now, count)),
                Some((at, begun)) if count >= value => {
                    return Ok((count - begun) / now.duration_since(at).as_secs_f64());
                }
                _ => {}
            }
            ensure!(now < end, "{count} of {value} after {limit:?}");
            tokio::time::sleep(POLL).await;
        }
    }
}

/// CPU time that a process has used so far, in seconds.
pub(crate) fn cpu_seconds(process: &process::Haul) -> Result<f64> {
    let pid = process.pid().context("it does not run")?;
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // Behind the name, which may hold anything but ends with the last parenthesis: fields 14 and 15 of the whole.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |index: usize| -> Result<f64> { Ok(fields.get(index).context("a short stat")?.parse()?) };
    Ok((ticks(11)? + ticks(12)?) / TICKS_PER_SECOND)
}

/// The commit that is measured.
pub(crate) fn commit() -> String {
    let output = Command::new("git").args(["rev-parse", "--short", "HEAD"]).current_dir(root()).output();
    output.map_or_else(|_| "unknown".to_owned(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
