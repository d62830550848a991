//! `haul up`: every role in one process.

use crate::{
    commands::{ConfigFile, overrides},
    exit::Exit,
    roles::{self, Parts},
    welcome::Welcome,
};
use clap::Args;
use haul::plan::Plan;
use std::{
    io::{Write, stdout},
    mem,
};

/// Run everything in one process: API, worker, scheduler, repair
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  haul up
  haul up --data /var/lib/haul --listen 127.0.0.1:9000
  DATABASE_URL=postgres://haul@db/haul haul up
  DATABASE_URL=postgres://haul@db/haul REDIS_URL=redis://redis haul up

Without DATABASE_URL jobs are kept in SQLite, under --data. With it they are kept in Postgres, whose tables are brought
up to date at start. REDIS_URL besides lets other processes share the work.")]
pub(crate) struct Up {
    /// Where the API listens [env: HAUL_LISTEN] [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Where health and metrics are served besides [env: HAUL_OPS_LISTEN]
    #[arg(long, value_name = "ADDRESS")]
    ops_listen: Option<String>,
    /// Where jobs are kept without DATABASE_URL [env: HAUL_DATA] [default: haul-data]
    #[arg(long, value_name = "DIRECTORY")]
    data: Option<String>,
    /// Attempts that run at a time [env: HAUL_WORKER_CONCURRENCY] [default: 100]
    #[arg(long, value_name = "N")]
    concurrency: Option<String>,
    #[command(flatten)]
    file: ConfigFile,
}

impl Up {
    /// Runs until SIGTERM or SIGINT.
    pub(crate) async fn run(self) -> anyhow::Result<Exit> {
        let mut settings = self.file.load(&overrides([
            ("listen", self.listen),
            ("ops_listen", self.ops_listen),
            ("data", self.data),
            ("worker.concurrency", self.concurrency),
        ]))?;
        // Whoever can submit to an API that listens on loopback is on this machine already.
        let config = &mut settings.config;
        if config.listen.ip().is_loopback() {
            config.outgoing.allow = mem::take(&mut config.outgoing.allow).or_loopback();
        }
        let plan = Plan::one_process(&settings)?;
        let stores = plan.describe();
        roles::run("up", settings, plan, Parts::ALL, |welcome: &Welcome| {
            stdout().write_all(welcome.text(&stores).as_bytes())
        })
        .await
    }
}
