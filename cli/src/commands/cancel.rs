//! `haul cancel`: one job or several, or all that match a filter.

use crate::{
    client::{Client, Remote, Request},
    commands::{get, ls::Which},
    exit::{Exit, usage},
};
use clap::Args;
use serde::Deserialize;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    io::{Write, stdout},
};

/// Cancel jobs that have not ended
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  haul cancel 01938f5e-7c2a-7d3e-9b1f-5a0c8e4d2b67
  haul cancel --queue mail --tag campaign=7

A job that runs is told to stop within a second; its outcome is `cancelled` at once.")]
pub(crate) struct Cancel {
    /// The jobs' ids; or filters instead
    #[arg(value_name = "ID")]
    ids: Vec<String>,
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Deserialize)]
struct Answer {
    cancelled: u64,
    next_cursor: Option<String>,
}

impl Cancel {
    /// Cancels them.
    pub(crate) async fn run(self) -> anyhow::Result<Exit> {
        let filters: BTreeMap<_, _> = self.which.fields().into_iter().collect();
        match (self.ids.is_empty(), filters.is_empty()) {
            (true, true) => {
                return Err(usage("name the jobs to cancel: by their ids, or by --queue, --kind, --tag, ..."));
            }
            (false, false) => return Err(usage("name the jobs to cancel by their ids or by filters, not by both")),
            _ => {}
        }
        let client = self.remote.connect()?;
        if self.ids.is_empty() {
            return cancel_matching(&client, filters, self.remote.json).await;
        }
        for id in &self.ids {
            let answer = client.send(Request::post(["jobs", id, "cancel"])).await?;
            if self.remote.json {
                get::write_json(&answer)?;
            } else {
                writeln!(stdout(), "{id} is cancelled")?;
            }
        }
        Ok(Exit::Done)
    }
}

async fn cancel_matching(
    client: &Client,
    filters: BTreeMap<&'static str, String>,
    as_json: bool,
) -> anyhow::Result<Exit> {
    let mut cancelled = 0;
    let mut cursor = None;
    loop {
        let mut body: BTreeMap<&str, Value> = filters.iter().map(|(name, value)| (*name, json!(value))).collect();
        body.extend(cursor.map(|cursor: String| ("cursor", json!(cursor))));
        let request = Request::post(["jobs", "cancel"]).body(serde_json::to_vec(&body)?);
        let answer: Answer = client.read(request).await?;
        cancelled += answer.cancelled;
        cursor = answer.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    if as_json {
        writeln!(stdout(), "{}", json!({ "cancelled": cancelled }))?;
    } else {
        writeln!(stdout(), "{cancelled} cancelled")?;
    }
    Ok(Exit::Done)
}
