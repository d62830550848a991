//! `haul get`: everything about one job.

use crate::{
    client::{Client, Remote, Request},
    exit::Exit,
    job::JobView,
};
use clap::Args;
use haul_core::Span;
use std::{
    io::{self, Write, stdout},
    time::Duration,
};
use tokio::time::Instant;

/// What one request waits for: well below every limit on the way.
const WAIT_MS_MAX: u64 = 20_000;

/// Show a job: what was asked, its failures, how it ended
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  haul get 01938f5e-7c2a-7d3e-9b1f-5a0c8e4d2b67
  haul get 01938f5e-7c2a-7d3e-9b1f-5a0c8e4d2b67 --wait 30s --json

With --wait the exit code is 4 when the job does not end as succeeded.")]
pub(crate) struct Get {
    /// The job's id
    id: String,
    /// Wait for its outcome, for at most this long
    #[arg(long, value_name = "DURATION", num_args = 0..=1, default_missing_value = "5m")]
    wait: Option<Span>,
    #[command(flatten)]
    remote: Remote,
}

impl Get {
    /// Prints it.
    pub(crate) async fn run(self) -> anyhow::Result<Exit> {
        let client = self.remote.connect()?;
        if let Some(at_most) = self.wait {
            return wait_and_show(&client, &self.id, at_most, self.remote.json).await;
        }
        show(&client.send(Request::get(["jobs", &self.id])).await?, self.remote.json)?;
        Ok(Exit::Done)
    }
}

/// Waits for the job's outcome and shows the job, ended or not.
pub(crate) async fn wait_and_show(client: &Client, id: &str, at_most: Span, as_json: bool) -> anyhow::Result<Exit> {
    let end_at = Instant::now() + at_most.as_duration();
    loop {
        let left = end_at.saturating_duration_since(Instant::now());
        let wait_ms = u64::try_from(left.as_millis()).unwrap_or(WAIT_MS_MAX).min(WAIT_MS_MAX);
        let request = Request::get(["jobs", id]).query("wait", Some(Span::from_ms(wait_ms)));
        let answer = client.send(request).await?;
        let job: JobView = serde_json::from_slice(&answer)?;
        if job.outcome.is_none() && left > Duration::ZERO {
            continue;
        }
        show(&answer, as_json)?;
        return Ok(match job.outcome {
            Some(outcome) if outcome.state == "succeeded" => Exit::Done,
            _ => Exit::NotSucceeded,
        });
    }
}

/// Shows the job that the API answered.
pub(crate) fn show(answer: &[u8], as_json: bool) -> anyhow::Result<()> {
    if as_json {
        write_json(answer)?;
    } else {
        let job: JobView = serde_json::from_slice(answer)?;
        job.write(&mut stdout().lock())?;
    }
    Ok(())
}

/// Writes an answer as it came, with a line end.
pub(crate) fn write_json(answer: &[u8]) -> io::Result<()> {
    let mut to = stdout().lock();
    to.write_all(answer.trim_ascii_end())?;
    to.write_all(b"\n")
}
