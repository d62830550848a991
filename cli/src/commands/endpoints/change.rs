//! `haul endpoints create`, `edit`, `rotate`, `enable`, `disable`: what is said of an endpoint.
//!
//! A change names the fields that it is about and leaves the others alone, so it is a change of whatever the endpoint is by then.

use super::show;
use crate::{
    client::{Remote, Request},
    exit::{Exit, usage},
};
use clap::Args;
use haul_core::Span;
use serde::Serialize;
use serde_json::json;

#[derive(Debug, Args)]
#[command(after_help = "\
An answer that is lost on its way takes the secret with it. With --idempotency-key the same command can be sent again: it
creates one endpoint, and prints the same secret as long as the endpoint was not changed.")]
pub(super) struct Create {
    /// Where deliveries go
    #[arg(value_name = "URL")]
    to: String,
    /// An event that it wants, invoice.paid, or all that begin so, invoice.*; may be given several times [default: all]
    #[arg(long = "event", value_name = "TYPE")]
    events: Vec<String>,
    /// What it is, for people
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// The same key creates it once, however often it is sent
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, Args)]
pub(super) struct Edit {
    /// The endpoint's id
    id: String,
    /// Where deliveries go from now on
    #[arg(long, value_name = "URL")]
    to: Option<String>,
    /// An event that it wants from now on, in place of those before; may be given several times
    #[arg(long = "event", value_name = "TYPE", conflicts_with = "all_events")]
    events: Vec<String>,
    /// It wants every event from now on
    #[arg(long)]
    all_events: bool,
    /// What it is, for people; '' for nothing
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, Args)]
pub(super) struct Rotate {
    /// The endpoint's id
    id: String,
    /// How long deliveries are signed with the old secret, too; 0s ends it at once [the server's default: 24h]
    #[arg(long, value_name = "DURATION")]
    overlap: Option<Span>,
    #[command(flatten)]
    remote: Remote,
}

/// What is said of an endpoint; what is not said stays as it is.
#[derive(Default, PartialEq, Serialize)]
struct Body<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    events: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    enabled: Option<bool>,
}

impl Create {
    /// Prints it, with its secret.
    pub(super) async fn run(self) -> anyhow::Result<Exit> {
        let body = Body {
            url: Some(&self.to),
            events: Some(self.events.as_slice()).filter(|events| !events.is_empty()),
            description: self.description.as_deref(),
            enabled: None,
        };
        let request = Request::post(["endpoints"]).body(serde_json::to_vec(&body)?);
        let answer = self.remote.connect()?.send(request.idempotency_key(self.idempotency_key)).await?;
        show::write(&self.remote, &answer)?;
        Ok(Exit::Done)
    }
}

impl Edit {
    /// Prints it as it is now.
    pub(super) async fn run(self) -> anyhow::Result<Exit> {
        let body = Body {
            url: self.to.as_deref(),
            events: Some(self.events.as_slice()).filter(|events| self.all_events || !events.is_empty()),
            description: self.description.as_deref(),
            enabled: None,
        };
        if body == Body::default() {
            return Err(usage("nothing is to be changed: give --to, --event, --all-events or --description"));
        }
        change(&self.remote, &self.id, &body).await
    }
}

impl Rotate {
    /// Prints it, with its new secret.
    pub(super) async fn run(self) -> anyhow::Result<Exit> {
        let request = Request::post(["endpoints", &self.id, "rotate"]);
        let request = match self.overlap {
            Some(overlap) => request.body(serde_json::to_vec(&json!({ "overlap": overlap }))?),
            None => request,
        };
        let answer = self.remote.connect()?.send(request).await?;
        show::write(&self.remote, &answer)?;
        Ok(Exit::Done)
    }
}

/// Has events delivered to it, or not.
pub(super) async fn enable(remote: &Remote, id: &str, enabled: bool) -> anyhow::Result<Exit> {
    change(remote, id, &Body { enabled: Some(enabled), ..Body::default() }).await
}

async fn change(remote: &Remote, id: &str, body: &Body<'_>) -> anyhow::Result<Exit> {
    let request = Request::patch(["endpoints", id]).if_match("*").body(serde_json::to_vec(body)?);
    let answer = remote.connect()?.send(request).await?;
    show::write(remote, &answer)?;
    Ok(Exit::Done)
}
