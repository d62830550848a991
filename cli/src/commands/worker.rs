//! `haul worker`: runs jobs of the built-in kinds.

use crate::{
    commands::{ConfigFile, overrides},
    exit::Exit,
    roles::{self, Parts},
};
use clap::Args;
use haul::plan::Plan;

/// Run jobs of the built-in kinds, on Postgres and Redis
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  export DATABASE_URL=postgres://haul@db/haul REDIS_URL=redis://redis
  haul worker --concurrency 200
  haul worker --queues mail,reports:3

Any number may run at a time. The built-in kinds are in docs/integrations.md; for your own, write a worker of your own
with the crate `haul`: see examples/ship-orders.")]
pub(crate) struct WorkerRole {
    /// Queues to work on, each with an optional weight: a,b:3. Without it: all, also later ones [env: HAUL_WORKER_QUEUES]
    #[arg(long, value_name = "NAME[:WEIGHT],...")]
    queues: Option<String>,
    /// Attempts that run at a time [env: HAUL_WORKER_CONCURRENCY] [default: 100]
    #[arg(long, value_name = "N")]
    concurrency: Option<String>,
    /// Where health and metrics are served [env: HAUL_OPS_LISTEN]
    #[arg(long, value_name = "ADDRESS")]
    ops_listen: Option<String>,
    #[command(flatten)]
    file: ConfigFile,
}

impl WorkerRole {
    /// Runs until SIGTERM or SIGINT.
    pub(crate) async fn run(self) -> anyhow::Result<Exit> {
        let settings = self.file.load(&overrides([
            ("worker.queues", self.queues),
            ("worker.concurrency", self.concurrency),
            ("ops_listen", self.ops_listen),
        ]))?;
        let plan = Plan::shared(&settings, "worker")?;
        roles::run("worker", settings, plan, Parts::WORKER, |_| Ok(())).await
    }
}
