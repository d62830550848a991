//! `haul health`: whether a process can be sent work. For probes in images that have no curl.

use crate::{
    client::{Remote, Request},
    commands::get,
    exit::Exit,
    table::Table,
};
use clap::Args;
use serde::Deserialize;
use std::{collections::BTreeMap, io::stdout};

/// Ask a process whether it can be sent work
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  haul health
  haul health --url http://127.0.0.1:9090      a worker with --ops-listen 127.0.0.1:9090

Exit codes: 0 it is ready, 3 it is not and says why, 1 nobody answered.")]
pub(crate) struct Health {
    #[command(flatten)]
    remote: Remote,
}

#[derive(Deserialize)]
struct Ready {
    checks: BTreeMap<String, String>,
}

impl Health {
    /// Asks, and shows every check.
    pub(crate) async fn run(self) -> anyhow::Result<Exit> {
        let answer = self.remote.connect()?.send(Request::readiness()).await?;
        if self.remote.json {
            get::write_json(&answer)?;
            return Ok(Exit::Done);
        }
        let Ready { checks } = serde_json::from_slice(&answer)?;
        let mut table = Table::new(["CHECK", ""]);
        for (check, state) in checks {
            table.row([check, state]);
        }
        table.write(&mut stdout().lock())?;
        Ok(Exit::Done)
    }
}
