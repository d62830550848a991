//! `haul queues`: what waits where, pausing it, and its settings.

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

/// List queues, pause and resume them, change their settings
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  haul queues
  haul queues pause mail
  haul queues resume mail
  haul queues set mail --slots 4

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
    /// Change its settings
    Set(Set),
}

#[derive(Debug, Args)]
struct Named {
    /// The queue
    queue: String,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, Args)]
struct Set {
    /// The queue
    queue: String,
    /// Split it over so many slots of the dispatch (1 to 64); order is then kept within each slot only
    #[arg(long, value_name = "COUNT")]
    slots: u16,
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
    #[serde(default = "one")]
    slots: u16,
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
            Some(Action::Set(set)) => set.run().await,
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

impl Set {
    async fn run(self) -> anyhow::Result<Exit> {
        let change = serde_json::json!({"slots": self.slots}).to_string();
        let request = Request::patch(["queues", &self.queue]).body(change.into_bytes());
        let answer = self.remote.connect()?.send(request).await?;
        if self.remote.json {
            get::write_json(&answer)?;
        } else {
            let queue: QueueView = serde_json::from_slice(&answer)?;
            let slots = if queue.slots == 1 { "1 slot".to_owned() } else { format!("{} slots", queue.slots) };
            writeln!(stdout(), "{} has {slots}", queue.name)?;
        }
        Ok(Exit::Done)
    }
}

/// What a queue has that an older API does not speak of.
const fn one() -> u16 {
    1
}

async fn list(remote: &Remote) -> anyhow::Result<Exit> {
    let client = remote.connect()?;
    let mut table = Table::new(["QUEUE", "READY", "DELAYED", "RUNNING", "OLDEST", "SLOTS", "PAUSED"]);
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
    fn row(self) -> [String; 7] {
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
            self.slots.to_string(),
            paused.to_owned(),
        ]
    }
}
