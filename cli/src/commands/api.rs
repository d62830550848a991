//! `haul api`: accepts jobs and answers about them.

use crate::{
    commands::{ConfigFile, overrides},
    exit::Exit,
    roles::{self, Parts},
    welcome::Welcome,
};
use clap::Args;
use haul::plan::Plan;
use std::io::{Write, stdout};

/// Run the HTTP API, on Postgres and Redis
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  export DATABASE_URL=postgres://haul@db/haul REDIS_URL=redis://redis
  haul migrate && HAUL_ADMIN_KEY=$(cat key) haul api --listen 0.0.0.0:8080
  haul api --ops-listen 127.0.0.1:9090

Any number may run at a time. Without HAUL_ADMIN_KEY it listens on loopback only.")]
pub(crate) struct ApiRole {
    /// Where the API listens [env: HAUL_LISTEN] [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Where health and metrics are served besides [env: HAUL_OPS_LISTEN]
    #[arg(long, value_name = "ADDRESS")]
    ops_listen: Option<String>,
    #[command(flatten)]
    file: ConfigFile,
}

impl ApiRole {
    /// Runs until SIGTERM or SIGINT.
    pub(crate) async fn run(self) -> anyhow::Result<Exit> {
        let flags = overrides([("listen", self.listen), ("ops_listen", self.ops_listen)]);
        let settings = self.file.load(&flags)?;
        let plan = Plan::shared(&settings, "api")?;
        roles::run("api", settings, plan, Parts::API, |welcome: &Welcome| {
            writeln!(stdout(), "Haul's API listens on {}", welcome.url())
        })
        .await
    }
}
