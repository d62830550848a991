//! Endpoints as people see them.

use crate::{
    client::{Remote, Request},
    commands::get,
    exit::Exit,
    table::{Table, facts},
};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::io::{self, Write, stdout};

/// A page of a list, each item as it came.
#[derive(Deserialize)]
pub(super) struct Page {
    pub(super) data: Vec<Box<RawValue>>,
    pub(super) next_cursor: Option<String>,
}

/// What is shown of an endpoint. Fields that a newer API adds are left to `--json`.
#[derive(Deserialize)]
struct EndpointView {
    id: String,
    url: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    events: Vec<String>,
    disabled: Option<String>,
    failing_since: Option<String>,
    overlap_ends_at: Option<String>,
    /// Only in the answer that makes it.
    secret: Option<String>,
    created_at: String,
    updated_at: String,
}

/// Lists all endpoints.
pub(super) async fn list(remote: &Remote) -> anyhow::Result<Exit> {
    let client = remote.connect()?;
    let mut table = Table::new(["ID", "URL", "EVENTS", "STATE", "DESCRIPTION"]);
    let mut cursor = None;
    loop {
        let page: Page = client.read(Request::get(["endpoints"]).query("cursor", cursor)).await?;
        for endpoint in &page.data {
            if remote.json {
                writeln!(stdout(), "{}", endpoint.get())?;
            } else {
                let endpoint: EndpointView = serde_json::from_str(endpoint.get())?;
                let (events, state) = (endpoint.wanted(), endpoint.state());
                table.row([endpoint.id, endpoint.url, events, state, endpoint.description]);
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

/// Shows one endpoint.
pub(super) async fn one(remote: &Remote, id: &str) -> anyhow::Result<Exit> {
    let answer = remote.connect()?.send(Request::get(["endpoints", id])).await?;
    write(remote, &answer)?;
    Ok(Exit::Done)
}

/// Writes the endpoint that the API answered, to standard output; its secret, too, if that is in it.
pub(super) fn write(remote: &Remote, answer: &[u8]) -> anyhow::Result<()> {
    if remote.json {
        get::write_json(answer)?;
        return Ok(());
    }
    let endpoint: EndpointView = serde_json::from_slice(answer)?;
    endpoint.write(&mut stdout().lock())?;
    if endpoint.secret.is_some() {
        eprintln!("keep the secret where the receiver finds it: it is not shown again");
    }
    Ok(())
}

impl EndpointView {
    fn wanted(&self) -> String {
        if self.events.is_empty() { "all".to_owned() } else { self.events.join(" ") }
    }

    fn state(&self) -> String {
        match (&self.disabled, &self.failing_since) {
            (Some(why), _) => format!("disabled ({why})"),
            (None, Some(since)) => format!("failing since {since}"),
            (None, None) => "enabled".to_owned(),
        }
    }

    fn write(&self, to: &mut impl Write) -> io::Result<()> {
        facts(
            to,
            &[
                ("id", Some(self.id.clone())),
                ("url", Some(self.url.clone())),
                ("description", Some(self.description.clone()).filter(|text| !text.is_empty())),
                ("events", Some(self.wanted())),
                ("state", Some(self.state())),
                ("old secret until", self.overlap_ends_at.clone()),
                ("created", Some(self.created_at.clone())),
                ("updated", Some(self.updated_at.clone()).filter(|at| *at != self.created_at)),
                ("secret", self.secret.clone()),
            ],
        )
    }
}
