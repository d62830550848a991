//! `haul audit`: whether ledger and dispatch agree about every job.

use crate::{
    client::{Remote, Request},
    commands::get,
    exit::Exit,
    table::Table,
};
use anyhow::bail;
use clap::Args;
use serde::Deserialize;
use std::io::{self, Write, stdout};

/// Compare ledger and dispatch, and heal what they disagree about
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  haul audit
  haul audit --json

What is found:
  unreachable  a job without an outcome that has no ticket: it would never start. It gets one.
  abandoned    a lease that expired long ago and that no worker took up: is there a worker for its kind?
  settled      a job that has ended and still has a ticket for later. It is removed.

Exit codes: 0 nothing was found, 6 something was, 1 not everything could be compared.")]
pub(crate) struct Audit {
    #[command(flatten)]
    remote: Remote,
}

#[derive(Deserialize)]
struct Report {
    took_seconds: f64,
    complete: bool,
    findings: u64,
    queues: Vec<Queue>,
}

#[derive(Deserialize)]
struct Queue {
    name: String,
    compared: bool,
    jobs: u64,
    tickets: u64,
    leftover: u64,
    unreachable: Findings,
    abandoned: Findings,
    settled: Findings,
}

#[derive(Deserialize)]
struct Findings {
    count: u64,
    examples: Vec<String>,
}

/// Examples that are shown of a finding in a queue.
const SHOWN_MAX: usize = 5;

impl Audit {
    /// Has the API compare, and tells what it found.
    pub(crate) async fn run(self) -> anyhow::Result<Exit> {
        let answer = self.remote.connect()?.send(Request::post(["audit"])).await?;
        let report: Report = serde_json::from_slice(&answer)?;
        if self.remote.json {
            get::write_json(&answer)?;
        } else {
            report.write(&mut stdout().lock())?;
        }
        let lost = report.queues.iter().filter(|queue| !queue.compared).count();
        if report.findings > 0 {
            return Ok(Exit::Found);
        } else if !report.complete {
            bail!(
                "nothing was found, but time ran out before everything was compared\n  hint: api.request_timeout is what an audit may take"
            );
        } else if lost > 0 {
            bail!(
                "nothing was found, but {lost} queues are being rebuilt and were not compared\n  hint: try again in some seconds"
            );
        }
        Ok(Exit::Done)
    }
}

impl Report {
    fn write(&self, to: &mut impl Write) -> io::Result<()> {
        let mut table = Table::new(["QUEUE", "JOBS", "TICKETS", "LEFTOVER", "UNREACHABLE", "ABANDONED", "SETTLED"]);
        for queue in &self.queues {
            table.row(queue.row());
        }
        if !table.is_empty() {
            table.write(to)?;
            writeln!(to)?;
        }
        for queue in &self.queues {
            for (finding, Findings { count, examples }) in queue.findings() {
                let shown = &examples[..examples.len().min(SHOWN_MAX)];
                let more = if *count > shown.len() as u64 { ", ..." } else { "" };
                if *count > 0 {
                    writeln!(to, "{count} {finding} in {}: {}{more}", queue.name, shown.join(", "))?;
                }
            }
        }
        match self.findings {
            0 => writeln!(to, "nothing found in {:.1} s", self.took_seconds),
            findings => writeln!(to, "{findings} found in {:.1} s", self.took_seconds),
        }
    }
}

impl Queue {
    fn findings(&self) -> [(&str, &Findings); 3] {
        [("unreachable", &self.unreachable), ("abandoned", &self.abandoned), ("settled", &self.settled)]
    }

    /// Its row. `?` is what was not looked at.
    fn row(&self) -> [String; 7] {
        let figures =
            [self.jobs, self.tickets, self.leftover, self.unreachable.count, self.abandoned.count, self.settled.count];
        let [jobs, tickets, leftover, unreachable, abandoned, settled] =
            figures.map(|figure| if self.compared { figure.to_string() } else { "?".to_owned() });
        [self.name.clone(), jobs, tickets, leftover, unreachable, abandoned, settled]
    }
}
