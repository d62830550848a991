//! `haul endpoints deliveries` and `replay`: what was sent to an endpoint, and sending it again.

use super::show::Page;
use crate::{
    client::{Remote, Request},
    exit::Exit,
    table::Table,
};
use clap::Args;
use haul_core::Span;
use serde::{Deserialize, Serialize};
use std::io::{Write, stdout};

/// The most that one request may ask for.
const PAGE_MAX: usize = 100;

#[derive(Debug, Args)]
#[command(after_help = "`haul get ID` shows every attempt of a delivery, `haul rerun ID` makes it again.")]
pub(super) struct Deliveries {
    /// The endpoint's id
    id: String,
    /// How many at most; 0 for all
    #[arg(long, short = 'n', value_name = "N", default_value_t = 20)]
    limit: usize,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Deliveries come under the ids that they had, so that a receiver knows those that it has. With --wait the exit code is 4 when
the job that makes them does not end as succeeded; it does not wait for the deliveries.")]
pub(super) struct Replay {
    /// The endpoint's id
    id: String,
    /// Those that were accepted at or after this time
    #[arg(long, value_name = "TIME")]
    since: String,
    /// Those that were accepted before this time [default: now]
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Those that ended so: dead, succeeded, cancelled or any [the server's default: dead]
    #[arg(long)]
    state: Option<String>,
    /// The same key makes them again once, however often it is sent
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    /// Wait until all of them are submitted, for at most this long
    #[arg(long, value_name = "DURATION", num_args = 0..=1, default_missing_value = "5m")]
    wait: Option<Span>,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Serialize)]
struct Which<'a> {
    since: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'a str>,
}

#[derive(Deserialize)]
struct DeliveryView {
    id: String,
    r#type: Option<String>,
    state: String,
    created_at: String,
    attempts: u32,
    last: Option<AttemptView>,
}

#[derive(Deserialize)]
struct AttemptView {
    status: Option<u16>,
    latency_ms: Option<u64>,
    error: Option<String>,
}

impl Deliveries {
    /// Prints them: in a table, or as one JSON object a line.
    pub(super) async fn run(self) -> anyhow::Result<Exit> {
        let client = self.remote.connect()?;
        let mut left = if self.limit == 0 { usize::MAX } else { self.limit };
        let mut cursor = None;
        let mut table = Table::new(["ID", "EVENT", "STATE", "CREATED", "ATTEMPTS", "STATUS", "TOOK", "ERROR"]);
        loop {
            let request = Request::get(["endpoints", &self.id, "deliveries"]);
            let request = request.query("limit", Some(left.min(PAGE_MAX))).query("cursor", cursor);
            let page: Page = client.read(request).await?;
            for delivery in page.data.iter().take(left) {
                if self.remote.json {
                    writeln!(stdout(), "{}", delivery.get())?;
                } else {
                    table.row(serde_json::from_str::<DeliveryView>(delivery.get())?.row());
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

impl DeliveryView {
    fn row(self) -> [String; 8] {
        let (status, latency, error) = match self.last {
            Some(AttemptView { status, latency_ms, error }) => (status, latency_ms, error.unwrap_or_default()),
            None => (None, None, String::new()),
        };
        let status = status.map(|status| status.to_string()).unwrap_or_default();
        let took = latency.map(|ms| format!("{ms} ms")).unwrap_or_default();
        let (event, attempts) = (self.r#type.unwrap_or_default(), self.attempts.to_string());
        [self.id, event, self.state, self.created_at, attempts, status, took, error]
    }
}

impl Replay {
    /// Prints the id of the job that does it, or its end.
    pub(super) async fn run(self) -> anyhow::Result<Exit> {
        let which = Which { since: &self.since, until: self.until.as_deref(), state: self.state.as_deref() };
        let request = Request::post(["endpoints", &self.id, "replay"]).body(serde_json::to_vec(&which)?);
        super::submitted(&self.remote, request.idempotency_key(self.idempotency_key), self.wait).await
    }
}
