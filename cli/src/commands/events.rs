//! `haul events`: something happened, and whoever wants to know of it is told.

use crate::{
    client::{Remote, Request},
    commands::{endpoints, submit::parse_payload},
    exit::Exit,
};
use clap::{Args, Subcommand};
use haul_core::Span;
use serde::Serialize;
use serde_json::value::RawValue;

/// Send events to the endpoints that want them
#[derive(Debug, Args)]
pub(crate) struct Events {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Send an event to every endpoint that wants it
    Send(Send),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  haul events send invoice.paid '{\"invoice\": 7}' --idempotency-key invoice-7-paid
  haul events send order.shipped @order.json --wait

With --wait the exit code is 4 when the event does not end as succeeded. Its deliveries are jobs of their own, which it does
not wait for: `haul endpoints deliveries ID` lists them.")]
struct Send {
    /// What happened: words that are joined by dots, such as invoice.paid
    #[arg(value_name = "TYPE")]
    event_type: String,
    /// What there is to know about it, as JSON; @FILE reads a file, - standard input
    #[arg(value_name = "JSON")]
    data: String,
    /// When it happened [default: now]
    #[arg(long, value_name = "TIME")]
    timestamp: Option<String>,
    /// The same key sends the same event once, however often it is sent
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    /// Wait until its deliveries are submitted, for at most this long
    #[arg(long, value_name = "DURATION", num_args = 0..=1, default_missing_value = "5m")]
    wait: Option<Span>,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Serialize)]
struct Body<'a> {
    r#type: &'a str,
    data: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<&'a str>,
}

impl Events {
    /// Does what is asked.
    pub(crate) async fn run(self) -> anyhow::Result<Exit> {
        match self.action {
            Action::Send(send) => send.run().await,
        }
    }
}

impl Send {
    /// Prints the id of the event's job, or its end.
    async fn run(self) -> anyhow::Result<Exit> {
        let data = parse_payload("data", &self.data)?;
        let body = Body { r#type: &self.event_type, data: &data, timestamp: self.timestamp.as_deref() };
        let request = Request::post(["events"]).body(serde_json::to_vec(&body)?);
        endpoints::submitted(&self.remote, request.idempotency_key(self.idempotency_key), self.wait).await
    }
}
