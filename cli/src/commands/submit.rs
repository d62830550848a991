//! `haul submit`: one job, and its outcome when asked to wait.

use crate::{
    client::{Remote, Request},
    commands::get,
    exit::{Exit, usage},
};
use clap::Args;
use haul_core::Span;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::{
    collections::BTreeMap,
    io::{Read, Write, stdin, stdout},
};

/// Bytes read from standard input: more than any API accepts by default.
const INPUT_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Submit a job
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  haul submit echo '{\"hello\": \"world\"}' --wait
  haul submit http.request '{\"method\": \"GET\", \"url\": \"https://example.com/\"}' --queue web
  haul submit order.ship @order.json --delay 10m --idempotency-key order-7
  echo '{\"id\": 7}' | haul submit order.ship - --tag customer=42

With --wait the exit code is 4 when the job does not end as succeeded.")]
pub(crate) struct Submit {
    /// Which handler runs it
    kind: String,
    /// Its payload as JSON; @FILE reads a file, - standard input
    #[arg(value_name = "JSON")]
    payload: String,
    /// Where it waits [the server's default: default]
    #[arg(long)]
    queue: Option<String>,
    /// Its urgency within the queue: 0 first, 9 last [the server's default: 5]
    #[arg(long, value_name = "0-9")]
    priority: Option<u8>,
    /// Start it this long from now: 30s, 10m, 1h 30m
    #[arg(long, value_name = "DURATION", conflicts_with = "run_at")]
    delay: Option<Span>,
    /// Start it at this time: 2026-11-22T09:00:00Z
    #[arg(long, value_name = "TIME")]
    run_at: Option<String>,
    /// No attempt starts after this time
    #[arg(long, value_name = "TIME")]
    deadline: Option<String>,
    /// How long one attempt may take [the server's default: 5m]
    #[arg(long, value_name = "DURATION")]
    timeout: Option<Span>,
    /// Attempts in all, before it is dead [the server's default: 20]
    #[arg(long, value_name = "N")]
    max_attempts: Option<u16>,
    /// The same key submits the same job once, however often it is sent
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    /// A mark to find it by; may be given several times
    #[arg(long = "tag", value_name = "NAME=VALUE", value_parser = parse_tag)]
    tags: Vec<(String, String)>,
    /// Wait for its outcome, for at most this long
    #[arg(long, value_name = "DURATION", num_args = 0..=1, default_missing_value = "5m")]
    wait: Option<Span>,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Serialize)]
struct Body<'a> {
    kind: &'a str,
    payload: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    queue: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delay: Option<Span>,
    #[serde(skip_serializing_if = "Option::is_none")]
    run_at: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deadline: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout: Option<Span>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_attempts: Option<u16>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    tags: BTreeMap<&'a str, &'a str>,
}

#[derive(Deserialize)]
struct Accepted {
    id: String,
}

impl Submit {
    /// Submits it and prints its id, or its end.
    pub(crate) async fn run(self) -> anyhow::Result<Exit> {
        let payload = parse_payload("payload", &self.payload)?;
        let body = serde_json::to_vec(&Body {
            kind: &self.kind,
            payload: &payload,
            queue: self.queue.as_deref(),
            priority: self.priority,
            delay: self.delay,
            run_at: self.run_at.as_deref(),
            deadline: self.deadline.as_deref(),
            timeout: self.timeout,
            max_attempts: self.max_attempts,
            tags: self.tags.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect(),
        })?;
        let client = self.remote.connect()?;
        let request = Request::post(["jobs"]).body(body).idempotency_key(self.idempotency_key);
        let answer = client.send(request).await?;
        let Accepted { id } = serde_json::from_slice(&answer)?;
        match self.wait {
            Some(at_most) => get::wait_and_show(&client, &id, at_most, self.remote.json).await,
            None if self.remote.json => {
                get::write_json(&answer)?;
                Ok(Exit::Done)
            }
            None => {
                writeln!(stdout(), "{id}")?;
                Ok(Exit::Done)
            }
        }
    }
}

/// JSON as it was given: as it is, in a file, or on standard input. `what` names it where it is refused.
pub(crate) fn parse_payload(what: &str, given: &str) -> anyhow::Result<Box<RawValue>> {
    serde_json::from_str(&read_payload(what, given)?).map_err(|error| {
        usage(format!("the {what} is not JSON: {error}\n  hint: quote it for the shell: '{{\"hello\": \"world\"}}'"))
    })
}

fn read_payload(what: &str, given: &str) -> anyhow::Result<String> {
    if given == "-" {
        let mut text = String::new();
        stdin().take(INPUT_BYTES_MAX).read_to_string(&mut text)?;
        return Ok(text);
    }
    match given.strip_prefix('@') {
        Some(path) => std::fs::read_to_string(path)
            .map_err(|error| usage(format!("the file {path} with the {what} cannot be read: {error}"))),
        None => Ok(given.to_owned()),
    }
}

pub(crate) fn parse_tag(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("a tag reads NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}
