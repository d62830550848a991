//! `haul destinations`: whom jobs call, and who is left alone just now.

use crate::{
    client::{Remote, Request},
    commands::get,
    exit::Exit,
    table::{Table, facts},
};
use clap::{Args, Subcommand};
use haul_core::pace::Destination;
use reqwest::Url;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::io::{Write, stdout};

/// List whom jobs call, with breakers, limits and who waits; close a breaker
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  haul destinations
  haul destinations get https://api.example.com
  haul destinations reset https://api.example.com:8443

A destination is scheme, host and port; of a URL, that part counts. One that nobody calls is forgotten after an hour or two."
)]
pub(crate) struct Destinations {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List all of them, by name
    Ls(List),
    /// Show one
    Get(Named),
    /// Close its breaker: forget failures, pauses and the line
    Reset(Named),
}

#[derive(Debug, Args)]
struct List {
    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, Args)]
struct Named {
    /// The destination, or a URL at it
    destination: String,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Deserialize)]
struct Page {
    data: Vec<Box<RawValue>>,
    next_cursor: Option<String>,
}

/// What is shown of a destination. Fields that a newer API adds are left to `--json`.
#[derive(Deserialize)]
struct DestinationView {
    destination: String,
    breaker: String,
    since: String,
    until: Option<String>,
    failures: u64,
    in_flight: u64,
    waiting: u64,
    limits: LimitsView,
}

#[derive(Deserialize)]
struct LimitsView {
    rate: Option<u32>,
    burst: Option<u32>,
    in_flight: u32,
}

impl Destinations {
    /// Lists them, or does what is asked.
    pub(crate) async fn run(self) -> anyhow::Result<Exit> {
        match self.action {
            None => list(&self.remote).await,
            Some(Action::Ls(ls)) => list(&ls.remote).await,
            Some(Action::Get(named)) => named.show(Request::get(["destinations", &named.name()])).await,
            Some(Action::Reset(named)) => named.show(Request::post(["destinations", &named.name(), "reset"])).await,
        }
    }
}

async fn list(remote: &Remote) -> anyhow::Result<Exit> {
    let client = remote.connect()?;
    let mut table =
        Table::new(["DESTINATION", "BREAKER", "SINCE", "UNTIL", "FAILURES", "IN FLIGHT", "WAITING", "RATE"]);
    let mut cursor = None;
    loop {
        let page: Page = client.read(Request::get(["destinations"]).query("cursor", cursor)).await?;
        for destination in &page.data {
            if remote.json {
                writeln!(stdout(), "{}", destination.get())?;
            } else {
                table.row(serde_json::from_str::<DestinationView>(destination.get())?.row());
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

impl Named {
    async fn show(&self, request: Request) -> anyhow::Result<Exit> {
        let answer = self.remote.connect()?.send(request).await?;
        if self.remote.json {
            get::write_json(&answer)?;
            return Ok(Exit::Done);
        }
        let it: DestinationView = serde_json::from_slice(&answer)?;
        let in_flight = it.in_flight();
        facts(
            &mut stdout().lock(),
            &[
                ("destination", Some(it.destination)),
                ("breaker", Some(it.breaker)),
                ("since", Some(it.since)),
                ("until", it.until),
                ("failures", Some(it.failures.to_string())),
                ("in flight", Some(in_flight)),
                ("waiting", Some(it.waiting.to_string())),
                ("rate", it.limits.shown()),
            ],
        )?;
        Ok(Exit::Done)
    }

    fn name(&self) -> String {
        name(&self.destination)
    }
}

/// The name of the destination of a URL. What is none is left to the API to refuse.
fn name(text: &str) -> String {
    if Destination::new(text).is_ok() {
        return text.to_owned();
    }
    let url = Url::parse(text).ok();
    let of_url = url.as_ref().and_then(|url| {
        let (host, port) = (url.host_str()?.trim_end_matches('.'), url.port_or_known_default()?);
        Destination::new(format!("{}://{host}:{port}", url.scheme())).ok()
    });
    of_url.map_or_else(|| text.to_owned(), |destination| destination.to_string())
}

impl LimitsView {
    fn shown(&self) -> Option<String> {
        let rate = self.rate?;
        let burst = self.burst.map(|burst| format!(", {burst} at once")).unwrap_or_default();
        Some(format!("{rate}/s{burst}"))
    }
}

impl DestinationView {
    fn in_flight(&self) -> String {
        format!("{} of {}", self.in_flight, self.limits.in_flight)
    }

    fn row(self) -> [String; 8] {
        let in_flight = self.in_flight();
        [
            self.destination,
            self.breaker,
            self.since,
            self.until.unwrap_or_default(),
            self.failures.to_string(),
            in_flight,
            self.waiting.to_string(),
            self.limits.shown().unwrap_or_default(),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_url_scheme_host_and_port_count() {
        for (text, expected) in [
            ("https://api.example.com:443", "https://api.example.com:443"),
            ("https://API.example.com", "https://api.example.com:443"),
            ("https://api.example.com./v1/orders?a=b", "https://api.example.com:443"),
            ("http://[::1]:8080/", "http://[::1]:8080"),
            ("smtp://mail.example.com:587", "smtp://mail.example.com:587"),
            ("api.example.com", "api.example.com"),
        ] {
            assert_eq!(name(text), expected);
        }
    }
}
