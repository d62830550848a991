//! `haul scheduler`: fires schedules.

use crate::{
    commands::{ConfigFile, overrides},
    exit::Exit,
    roles::{self, Parts},
};
use clap::Args;
use haul::plan::Plan;

/// Fire schedules, on Postgres and Redis
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  export DATABASE_URL=postgres://haul@db/haul REDIS_URL=redis://redis
  haul scheduler --ops-listen 127.0.0.1:9091

Any number may run at a time: each tick fires once. Two of them, on two machines, leave no gap when one fails.")]
pub(crate) struct SchedulerRole {
    /// Where health and metrics are served [env: HAUL_OPS_LISTEN]
    #[arg(long, value_name = "ADDRESS")]
    ops_listen: Option<String>,
    #[command(flatten)]
    file: ConfigFile,
}

impl SchedulerRole {
    /// Runs until SIGTERM or SIGINT.
    pub(crate) async fn run(self) -> anyhow::Result<Exit> {
        let settings = self.file.load(&overrides([("ops_listen", self.ops_listen)]))?;
        let plan = Plan::shared(&settings, "scheduler")?;
        roles::run("scheduler", settings, plan, Parts::SCHEDULER, |_| Ok(())).await
    }
}
