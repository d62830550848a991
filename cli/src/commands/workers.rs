//! `haul workers`: which processes are alive, and what they do.

use crate::{
    client::{Remote, Request},
    exit::Exit,
    table::Table,
};
use clap::{Args, Subcommand};
use haul_core::{Span, Timestamp};
use serde::Deserialize;
use std::io::{Write, stdout};

/// List the processes that are alive: workers with their slots, and the other roles
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  haul workers
  haul workers ls --json

A process that was silent for 15 s is no longer listed."
)]
pub(crate) struct Workers {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List them: the same as without it
    Ls(Ls),
}

#[derive(Debug, Args)]
struct Ls {
    #[command(flatten)]
    remote: Remote,
}

#[derive(Deserialize)]
struct Page {
    data: Vec<Box<serde_json::value::RawValue>>,
    next_cursor: Option<String>,
}

#[derive(Deserialize)]
struct WorkerView {
    role: String,
    host: Option<String>,
    pid: Option<u32>,
    version: Option<String>,
    since: Timestamp,
    last_heartbeat: Timestamp,
    queues: Option<Vec<String>>,
    slots: Option<u32>,
    busy: Option<u32>,
}

impl Workers {
    /// Lists them.
    pub(crate) async fn run(self) -> anyhow::Result<Exit> {
        match &self.action {
            Some(Action::Ls(ls)) => list(&ls.remote).await,
            None => list(&self.remote).await,
        }
    }
}

async fn list(remote: &Remote) -> anyhow::Result<Exit> {
    let client = remote.connect()?;
    let mut table = Table::new(["ROLE", "HOST", "PID", "VERSION", "UP", "BUSY", "SLOTS", "QUEUES"]);
    let mut cursor = None;
    loop {
        let page: Page = client.read(Request::get(["workers"]).query("cursor", cursor)).await?;
        for worker in &page.data {
            if remote.json {
                writeln!(stdout(), "{}", worker.get())?;
            } else {
                table.row(serde_json::from_str::<WorkerView>(worker.get())?.row());
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

impl WorkerView {
    fn row(self) -> [String; 8] {
        let number = |number: Option<u32>| number.map(|number| number.to_string()).unwrap_or_default();
        // Both on the ledger's clock: this machine's need not agree.
        let up_seconds = self.last_heartbeat.since(self.since).as_secs();
        let queues = match &self.queues {
            None => String::new(),
            Some(queues) if queues.is_empty() => "all".to_owned(),
            Some(queues) => queues.join(","),
        };
        [
            self.role,
            self.host.unwrap_or_default(),
            number(self.pid),
            self.version.unwrap_or_default(),
            Span::from_ms(up_seconds * 1_000).to_string(),
            number(self.busy),
            number(self.slots),
            queues,
        ]
    }
}
