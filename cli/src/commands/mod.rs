//! One file per command; each owns its flags, its help and what it does.

mod api;
mod audit;
mod cancel;
mod config;
mod demo;
mod destinations;
mod endpoints;
mod events;
mod get;
mod health;
mod log;
mod ls;
mod migrate;
mod queues;
mod rerun;
mod scheduler;
mod schedules;
mod submit;
mod up;
mod worker;
mod workers;

use crate::exit::Exit;
use clap::{Args, Subcommand};
use haul::settings::{Settings, SettingsError};
use haul_core::config::Override;
use std::path::PathBuf;

/// What `haul` can do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Up(up::Up),
    Demo(demo::Demo),
    Api(api::ApiRole),
    Worker(worker::WorkerRole),
    Scheduler(scheduler::SchedulerRole),
    Migrate(migrate::Migrate),
    Config(config::PrintConfig),
    Submit(submit::Submit),
    Get(get::Get),
    Ls(ls::Ls),
    Cancel(cancel::Cancel),
    Rerun(rerun::Rerun),
    Queues(queues::Queues),
    Workers(workers::Workers),
    Destinations(destinations::Destinations),
    Schedules(schedules::Schedules),
    Endpoints(endpoints::Endpoints),
    Events(events::Events),
    Audit(audit::Audit),
    Health(health::Health),
    Log(log::Log),
}

impl Command {
    /// Does it.
    pub(crate) async fn run(self) -> anyhow::Result<Exit> {
        match self {
            Self::Up(up) => up.run().await,
            Self::Demo(demo) => demo.run().await,
            Self::Api(api) => api.run().await,
            Self::Worker(worker) => worker.run().await,
            Self::Scheduler(scheduler) => scheduler.run().await,
            Self::Migrate(migrate) => migrate.run().await,
            Self::Config(config) => config.run(),
            Self::Submit(submit) => submit.run().await,
            Self::Get(get) => get.run().await,
            Self::Ls(ls) => ls.run().await,
            Self::Cancel(cancel) => cancel.run().await,
            Self::Rerun(rerun) => rerun.run().await,
            Self::Queues(queues) => queues.run().await,
            Self::Workers(workers) => workers.run().await,
            Self::Destinations(destinations) => destinations.run().await,
            Self::Schedules(schedules) => schedules.run().await,
            Self::Endpoints(endpoints) => endpoints.run().await,
            Self::Events(events) => events.run().await,
            Self::Audit(audit) => audit.run().await,
            Self::Health(health) => health.run().await,
            Self::Log(log) => log.run().await,
        }
    }
}

/// Where settings come from, for every command that has some.
#[derive(Debug, Args)]
pub(crate) struct ConfigFile {
    /// A configuration file; `haul config` prints one with every setting [env: HAUL_CONFIG]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

impl ConfigFile {
    /// The settings, with flags laid over.
    pub(crate) fn load(&self, flags: &[Override]) -> Result<Settings, SettingsError> {
        Settings::load(self.config.as_deref(), flags)
    }
}

/// Flags that stand for settings: those that were given, by the settings' names.
pub(crate) fn overrides<const N: usize>(flags: [(&str, Option<String>); N]) -> Vec<Override> {
    let given = |(path, text): (&str, Option<String>)| text.map(|text| (path.to_owned(), text));
    flags.into_iter().filter_map(given).collect()
}
