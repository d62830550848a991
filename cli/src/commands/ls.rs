//! `haul ls`: jobs, newest first.

use crate::{
    client::{Remote, Request},
    commands::submit::parse_tag,
    exit::Exit,
    job::{HEADLINE, JobView},
    table::Table,
};
use clap::Args;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::io::{Write, stdout};

/// The most that one request may ask for.
const PAGE_MAX: usize = 100;

/// List jobs, newest first
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  haul ls --state dead --limit 100
  haul ls --queue mail --tag customer=42
  haul ls --kind order.ship --created-from 2026-11-01T00:00:00Z --json | jq .id")]
pub(crate) struct Ls {
    #[command(flatten)]
    which: Which,
    /// Only in this state: scheduled, queued, running, retrying, succeeded, dead, cancelled
    #[arg(long)]
    state: Option<String>,
    /// How many at most; 0 for all
    #[arg(long, short = 'n', value_name = "N", default_value_t = 20)]
    limit: usize,
    #[command(flatten)]
    remote: Remote,
}

/// Which jobs, by what was asked of them.
#[derive(Debug, Args)]
pub(crate) struct Which {
    /// Only of this queue
    #[arg(long)]
    queue: Option<String>,
    /// Only of this kind
    #[arg(long)]
    kind: Option<String>,
    /// Only with this tag
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_tag)]
    tag: Option<(String, String)>,
    /// Only those submitted at or after this time
    #[arg(long, value_name = "TIME")]
    created_from: Option<String>,
    /// Only those submitted before this time
    #[arg(long, value_name = "TIME")]
    created_before: Option<String>,
}

impl Which {
    /// The filters that are given, as the API names them.
    pub(crate) fn fields(&self) -> Vec<(&'static str, String)> {
        let tag = self.tag.as_ref().map(|(name, value)| format!("{name}:{value}"));
        let filters = [
            ("queue", self.queue.clone()),
            ("kind", self.kind.clone()),
            ("tag", tag),
            ("created_from", self.created_from.clone()),
            ("created_before", self.created_before.clone()),
        ];
        filters.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
}

#[derive(Deserialize)]
struct Page {
    data: Vec<Box<RawValue>>,
    next_cursor: Option<String>,
}

impl Ls {
    /// Prints them: in a table, or as one JSON object a line.
    pub(crate) async fn run(self) -> anyhow::Result<Exit> {
        let client = self.remote.connect()?;
        let mut left = if self.limit == 0 { usize::MAX } else { self.limit };
        let mut cursor = None;
        let mut table = Table::new(HEADLINE);
        loop {
            let request = Request::get(["jobs"]).query("limit", Some(left.min(PAGE_MAX))).query("cursor", cursor);
            let request = request.query("state", self.state.as_ref());
            let filters = self.which.fields();
            let request = filters.into_iter().fold(request, |request, (name, value)| request.query(name, Some(value)));
            let page: Page = client.read(request).await?;
            for job in page.data.iter().take(left) {
                if self.remote.json {
                    writeln!(stdout(), "{}", job.get())?;
                } else {
                    table.row(serde_json::from_str::<JobView>(job.get())?.row());
                }
            }
            left = left.saturating_sub(page.data.len());
            cursor = page.next_cursor;
            if left == 0 || cursor.is_none() {
                break;
            }
        }
        if !self.remote.json && !table.is_empty() {
            table.write(&mut stdout().lock())?;
        }
        if cursor.is_some() && !self.remote.json {
            eprintln!("there are more; --limit 0 lists all");
        }
        Ok(Exit::Done)
    }
}
