//! `haul log`: what a process logs, shown and changed while it runs.

use crate::{
    client::{Remote, Request},
    commands::get,
    exit::Exit,
    table::facts,
};
use clap::{Args, Subcommand};
use serde::Deserialize;
use serde_json::json;
use std::io::stdout;

/// Show what a process logs; change it without a restart
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  haul log                                        what the API's process lets through
  haul log set haul_worker=debug,info --for 15m
  haul log set 'info,[attempt{job_id=0199c1f2-...}]=trace' --for 1h     all that one job does
  haul log reset
  haul log set debug --for 5m --url http://127.0.0.1:9090      a worker with --ops-listen 127.0.0.1:9090

Every process has a filter of its own: --url names the process. With --for, what is configured (log.filter) returns by itself;
a restart returns to it, too. What Haul did not write is logged from `info` up only, whatever the filter says."
)]
pub(crate) struct Log {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show it
    Show(Plain),
    /// Log something else from now on
    Set(Set),
    /// Log what is configured again
    Reset(Plain),
}

#[derive(Debug, Args)]
struct Plain {
    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, Args)]
struct Set {
    /// Levels, and targets with theirs, such as `haul_worker=debug,info`
    filter: String,
    /// When what is configured returns by itself: 1s to 24h
    #[arg(long = "for", value_name = "DURATION")]
    lasting: Option<String>,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Deserialize)]
struct LogView {
    filter: String,
    configured: String,
    until: Option<String>,
}

impl Log {
    /// Shows the filter, or changes it and shows what it is then.
    pub(crate) async fn run(self) -> anyhow::Result<Exit> {
        match self.action {
            None => show(&self.remote, Request::log()).await,
            Some(Action::Show(plain)) => show(&plain.remote, Request::log()).await,
            Some(Action::Reset(plain)) => show(&plain.remote, Request::reset_log()).await,
            Some(Action::Set(set)) => {
                let change = match &set.lasting {
                    Some(lasting) => json!({"filter": set.filter, "for": lasting}),
                    None => json!({"filter": set.filter}),
                };
                show(&set.remote, Request::set_log().body(change.to_string().into_bytes())).await
            }
        }
    }
}

async fn show(remote: &Remote, request: Request) -> anyhow::Result<Exit> {
    let answer = remote.connect()?.send(request).await?;
    if remote.json {
        get::write_json(&answer)?;
        return Ok(Exit::Done);
    }
    let LogView { filter, configured, until } = serde_json::from_slice(&answer)?;
    let facts_of_it = [("filter", Some(filter)), ("configured", Some(configured)), ("until", until)];
    facts(&mut stdout().lock(), &facts_of_it)?;
    Ok(Exit::Done)
}
