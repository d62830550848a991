//! `haul rerun`: a new job that asks for the same as one that has ended.

use crate::{
    client::{Remote, Request},
    commands::get,
    exit::Exit,
};
use clap::Args;
use serde::Deserialize;
use std::io::{Write, stdout};

/// Run a finished job again, as a new job that names its origin
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  haul rerun 01938f5e-7c2a-7d3e-9b1f-5a0c8e4d2b67
  haul ls --state dead --kind mail.send --limit 0 --json | jq -r .id | xargs -n 50 haul rerun")]
pub(crate) struct Rerun {
    /// The jobs' ids
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,
    /// The same key runs a job again once, however often it is sent; for one job
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Deserialize)]
struct Accepted {
    id: String,
}

impl Rerun {
    /// Prints each new job's id.
    pub(crate) async fn run(self) -> anyhow::Result<Exit> {
        if self.idempotency_key.is_some() && self.ids.len() > 1 {
            return Err(crate::exit::usage("--idempotency-key is for one job: the same key would refuse the second"));
        }
        let client = self.remote.connect()?;
        for id in &self.ids {
            let request = Request::post(["jobs", id, "rerun"]).idempotency_key(self.idempotency_key.clone());
            let answer = client.send(request).await?;
            if self.remote.json {
                get::write_json(&answer)?;
            } else {
                writeln!(stdout(), "{}", serde_json::from_slice::<Accepted>(&answer)?.id)?;
            }
        }
        Ok(Exit::Done)
    }
}
