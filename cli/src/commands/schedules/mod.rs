//! `haul schedules`: jobs that are accepted again and again.

mod apply;
mod file;
mod preview;
mod show;

use crate::{
    client::{Remote, Request},
    commands::get,
    exit::Exit,
};
use clap::{Args, Subcommand};
use haul_core::Span;
use serde::Deserialize;
use std::io::{Write, stdout};

/// List schedules, look ahead, pause, resume and run them, keep them in a file
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  haul schedules
  haul schedules preview '30 1 * * *' --timezone America/New_York
  haul schedules apply schedules.toml --dry-run
  haul schedules pause nightly-report
  haul schedules run nightly-report --wait

A paused schedule fires nothing; what it misses meanwhile is treated as its `missed` says when it is resumed."
)]
pub(crate) struct Schedules {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List all of them, by name
    Ls(List),
    /// Show one: what it says, how far it has come, its next ticks
    Get(Get),
    /// Show when an expression would fire, days on which clocks are set included
    Preview(preview::Preview),
    /// Make the schedules what a file says
    Apply(apply::Apply),
    /// Fire nothing until it is resumed
    Pause(Named),
    /// Fire again
    Resume(Named),
    /// Run its job now; the schedule goes on as if nothing had happened
    Run(Run),
    /// Delete schedules; the jobs that they have fired stay
    Rm(Remove),
}

#[derive(Debug, Args)]
struct List {
    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, Args)]
struct Named {
    /// The schedule
    name: String,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, Args)]
struct Get {
    /// The schedule
    name: String,
    /// How many of its next ticks to show (0 to 100)
    #[arg(long, value_name = "N", default_value_t = 5)]
    next: u32,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, Args)]
struct Run {
    /// The schedule
    name: String,
    /// The same key runs it once, however often it is sent
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    /// Wait for the job's outcome, for at most this long
    #[arg(long, value_name = "DURATION", num_args = 0..=1, default_missing_value = "5m")]
    wait: Option<Span>,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, Args)]
struct Remove {
    /// The schedules
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
    #[command(flatten)]
    remote: Remote,
}

impl Schedules {
    /// Lists them, or does what is asked.
    pub(crate) async fn run(self) -> anyhow::Result<Exit> {
        match self.action {
            None => show::list(&self.remote).await,
            Some(Action::Ls(list)) => show::list(&list.remote).await,
            Some(Action::Get(get)) => show::one(&get.remote, &get.name, get.next).await,
            Some(Action::Preview(preview)) => preview.run().await,
            Some(Action::Apply(apply)) => apply.run().await,
            Some(Action::Pause(named)) => named.change("pause").await,
            Some(Action::Resume(named)) => named.change("resume").await,
            Some(Action::Run(run)) => run.run().await,
            Some(Action::Rm(remove)) => remove.run().await,
        }
    }
}

impl Named {
    async fn change(self, action: &str) -> anyhow::Result<Exit> {
        let answer = self.remote.connect()?.send(Request::post(["schedules", &self.name, action])).await?;
        if self.remote.json {
            get::write_json(&answer)?;
        } else {
            writeln!(stdout(), "{} is {action}d", self.name)?;
        }
        Ok(Exit::Done)
    }
}

#[derive(Deserialize)]
struct Accepted {
    id: String,
}

impl Run {
    async fn run(self) -> anyhow::Result<Exit> {
        let client = self.remote.connect()?;
        let request = Request::post(["schedules", &self.name, "run"]).idempotency_key(self.idempotency_key);
        let answer = client.send(request).await?;
        let Accepted { id } = serde_json::from_slice(&answer)?;
        match self.wait {
            Some(at_most) => return get::wait_and_show(&client, &id, at_most, self.remote.json).await,
            None if self.remote.json => get::write_json(&answer)?,
            None => writeln!(stdout(), "{id}")?,
        }
        Ok(Exit::Done)
    }
}

impl Remove {
    async fn run(self) -> anyhow::Result<Exit> {
        let client = self.remote.connect()?;
        for name in &self.names {
            client.send(Request::delete(["schedules", name])).await?;
            if !self.remote.json {
                writeln!(stdout(), "{name} is deleted")?;
            }
        }
        Ok(Exit::Done)
    }
}
