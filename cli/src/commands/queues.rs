//! `haul queues`: what waits where, and pausing it.

use crate::{
    client::{Remote, Request},
    commands::get,
    exit::Exit,
    table::Table,
};
use clap::{Args, Subcommand};
use haul_core::Span;
use serde::Deserialize;
use std::io::{Write, stdout};

/// List queues, pause and resume them
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  haul queues
  haul queues pause mail
  haul queues resume mail

A paused queue takes jobs and starts none; what runs goes on."
)]
pub(crate) struct Queues {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Start no more jobs of a queue
    Pause(Named),
    /// Start its jobs again
    Resume(Named),
}

#[derive(Debug, Args)]
struct Named {
    /// The queue
    queue: String,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Deserialize)]
struct Page {
    data: Vec<Box<serde_json::value::RawValue>>,
    next_cursor: Option<String>,
}

#[derive(Deserialize)]
struct QueueView {
    name: String,
    paused: bool,
    ready: Option<u64>,
    delayed: Option<u64>,
    running: Option<u64>,
    oldest_age_seconds: Option<f64>,
}

impl Queues {
    /// Lists them, or changes one.
    pub(crate) async fn run(self) -> anyhow::Result<Exit> {
        match self.action {
            None => list(&self.remote).await,
            Some(Action::Pause(named)) => named.change("pause").await,
            Some(Action::Resume(named)) => named.change("resume").await,
        }
    }
}

impl Named {
    async fn change(self, action: &str) -> anyhow::Result<Exit> {
        let answer = self.remote.connect()?.send(Request::post(["queues", &self.queue, action])).await?;
        if self.remote.json {
            get::write_json(&answer)?;
        } else {
            writeln!(stdout(), "{} is {action}d", self.queue)?;
        }
        Ok(Exit::Done)
    }
}

async fn list(remote: &Remote) -> anyhow::Result<Exit> {
    let client = remote.connect()?;
    let mut table = Table::new(["QUEUE", "READY", "DELAYED", "RUNNING", "OLDEST", "PAUSED"]);
    let mut cursor = None;
    loop {
        let page: Page = client.read(Request::get(["queues"]).query("cursor", cursor)).await?;
        for queue in &page.data {
            if remote.json {
                writeln!(stdout(), "{}", queue.get())?;
            } else {
                table.row(serde_json::from_str::<QueueView>(queue.get())?.row());
            }
        }
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    if !remote.json && !table.is_empty() {
        table.write(&mut stdout().lock())?;
    }
    Ok(Exit::Done)
}

impl QueueView {
    /// Its row. `?` is what only the dispatch knows, when it cannot be reached.
    fn row(self) -> [String; 6] {
        let count = |count: Option<u64>| count.map_or_else(|| "?".to_owned(), |count| count.to_string());
        let oldest =
            self.oldest_age_seconds.map(|seconds| Span::from_ms((seconds.max(0.0) * 1_000.0) as u64).to_string());
        let paused = if self.paused { "yes" } else { "" };
        [
            self.name,
            count(self.ready),
            count(self.delayed),
            count(self.running),
            oldest.unwrap_or_default(),
            paused.to_owned(),
        ]
    }
}
