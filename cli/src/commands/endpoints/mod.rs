//! `haul endpoints`: who is told of events by webhook.

mod change;
mod deliveries;
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

/// Manage endpoints of webhooks: create, test, rotate their secrets, look at deliveries, make them again
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  haul endpoints create https://shop.example.com/hooks --event 'invoice.*' --event order.shipped
  haul endpoints test 01938f5e-7c2a-7d3e-9b1f-5a0c8e4d2b67 --wait
  haul endpoints deliveries 01938f5e-7c2a-7d3e-9b1f-5a0c8e4d2b67
  haul endpoints rotate 01938f5e-7c2a-7d3e-9b1f-5a0c8e4d2b67 --overlap 3days --json | jq -r .secret
  haul endpoints replay 01938f5e-7c2a-7d3e-9b1f-5a0c8e4d2b67 --since 2026-11-22T09:00:00Z

A secret is printed by the command that makes it, to standard output, and never again. docs/integrations.md explains the rest."
)]
pub(crate) struct Endpoints {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List all of them, in the order of their creation
    Ls(List),
    /// Show one, without its secret
    Get(Named),
    /// Create one, and print its secret, this once
    Create(change::Create),
    /// Change where deliveries go, which events are wanted, or the description
    Edit(change::Edit),
    /// Give it a new secret, and print it, this once
    Rotate(change::Rotate),
    /// Deliver nothing to it until it is enabled
    Disable(Named),
    /// Deliver to it again, whyever it is disabled
    Enable(Named),
    /// Send it a test event
    Test(Test),
    /// Delete endpoints; deliveries that wait end as dead
    Rm(Remove),
    /// List what was sent to it, newest first, and what it answered
    Deliveries(deliveries::Deliveries),
    /// Make deliveries of a time again
    Replay(deliveries::Replay),
}

#[derive(Debug, Args)]
struct List {
    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, Args)]
struct Named {
    /// The endpoint's id
    id: String,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, Args)]
struct Test {
    /// The endpoint's id
    id: String,
    /// Wait for the delivery's outcome, for at most this long
    #[arg(long, value_name = "DURATION", num_args = 0..=1, default_missing_value = "1m")]
    wait: Option<Span>,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, Args)]
struct Remove {
    /// The endpoints' ids
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,
    #[command(flatten)]
    remote: Remote,
}

impl Endpoints {
    /// Lists them, or does what is asked.
    pub(crate) async fn run(self) -> anyhow::Result<Exit> {
        match self.action {
            None => show::list(&self.remote).await,
            Some(Action::Ls(list)) => show::list(&list.remote).await,
            Some(Action::Get(named)) => show::one(&named.remote, &named.id).await,
            Some(Action::Create(create)) => create.run().await,
            Some(Action::Edit(edit)) => edit.run().await,
            Some(Action::Rotate(rotate)) => rotate.run().await,
            Some(Action::Disable(named)) => change::enable(&named.remote, &named.id, false).await,
            Some(Action::Enable(named)) => change::enable(&named.remote, &named.id, true).await,
            Some(Action::Test(test)) => test.run().await,
            Some(Action::Rm(remove)) => remove.run().await,
            Some(Action::Deliveries(deliveries)) => deliveries.run().await,
            Some(Action::Replay(replay)) => replay.run().await,
        }
    }
}

impl Test {
    async fn run(self) -> anyhow::Result<Exit> {
        submitted(&self.remote, Request::post(["endpoints", &self.id, "test"]), self.wait).await
    }
}

impl Remove {
    async fn run(self) -> anyhow::Result<Exit> {
        let client = self.remote.connect()?;
        for id in &self.ids {
            client.send(Request::delete(["endpoints", id])).await?;
            if !self.remote.json {
                writeln!(stdout(), "{id} is deleted")?;
            }
        }
        Ok(Exit::Done)
    }
}

#[derive(Deserialize)]
struct Accepted {
    id: String,
}

/// Sends a request whose answer is a job. Prints the job's id, or its end when that is waited for.
pub(super) async fn submitted(remote: &Remote, request: Request, wait: Option<Span>) -> anyhow::Result<Exit> {
    let client = remote.connect()?;
    let answer = client.send(request).await?;
    let Accepted { id } = serde_json::from_slice(&answer)?;
    match wait {
        Some(at_most) => return get::wait_and_show(&client, &id, at_most, remote.json).await,
        None if remote.json => get::write_json(&answer)?,
        None => writeln!(stdout(), "{id}")?,
    }
    Ok(Exit::Done)
}
