//! `haul schedules preview`: when an expression would fire.

use crate::{
    client::{Remote, Request},
    commands::get,
    exit::Exit,
    table::Table,
};
use clap::Args;
use serde::{Deserialize, Serialize};
use std::io::{Write, stdout};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  haul schedules preview '0 2 * * mon-fri' --timezone Europe/London
  haul schedules preview '30 1 * * *' --timezone America/New_York --from 2026-10-31T12:00:00Z --overlap both
  haul schedules preview --every 90s --count 3")]
pub(super) struct Preview {
    /// Five fields with the meaning of crontab(5), or @hourly and friends
    #[arg(value_name = "EXPRESSION", required_unless_present = "every")]
    cron: Option<String>,
    /// An interval instead of an expression: 90s, 15m
    #[arg(long, value_name = "DURATION", conflicts_with = "cron")]
    every: Option<String>,
    /// The IANA time zone that the expression is read in [default: UTC]
    #[arg(long, value_name = "ZONE")]
    timezone: Option<String>,
    /// The expression has six fields, seconds in front
    #[arg(long)]
    seconds: bool,
    /// What becomes of times that do not exist: skip, run_once_after [default: by the expression]
    #[arg(long, value_name = "POLICY")]
    gap: Option<String>,
    /// What becomes of times that exist twice: first, second, both [default: by the expression]
    #[arg(long, value_name = "POLICY")]
    overlap: Option<String>,
    /// Ticks after this time [default: now]
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// How many ticks (1 to 100)
    #[arg(long, short = 'n', value_name = "N", default_value_t = 10)]
    count: u32,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Serialize)]
struct Body<'a> {
    cron: Option<&'a str>,
    every: Option<&'a str>,
    timezone: Option<&'a str>,
    seconds: Option<bool>,
    dst: Option<Dst<'a>>,
    from: Option<&'a str>,
    count: u32,
}

#[derive(Serialize)]
struct Dst<'a> {
    gap: Option<&'a str>,
    overlap: Option<&'a str>,
}

#[derive(Deserialize)]
struct Answer {
    ticks: Vec<Tick>,
    left_out: Vec<Tick>,
}

#[derive(Deserialize)]
struct Tick {
    local: String,
    fold: bool,
    at: String,
    note: Option<String>,
}

impl Preview {
    /// Prints the ticks, those that are left out among them.
    pub(super) async fn run(self) -> anyhow::Result<Exit> {
        let has_dst = self.gap.is_some() || self.overlap.is_some();
        let body = serde_json::to_vec(&Body {
            cron: self.cron.as_deref(),
            every: self.every.as_deref(),
            timezone: self.timezone.as_deref(),
            seconds: self.seconds.then_some(true),
            dst: has_dst.then_some(Dst { gap: self.gap.as_deref(), overlap: self.overlap.as_deref() }),
            from: self.from.as_deref(),
            count: self.count,
        })?;
        let answer = self.remote.connect()?.send(Request::post(["schedules", "preview"]).body(body)).await?;
        if self.remote.json {
            get::write_json(&answer)?;
            return Ok(Exit::Done);
        }
        let Answer { ticks, left_out } = serde_json::from_slice(&answer)?;
        let mut rows: Vec<Tick> = ticks.into_iter().chain(left_out).collect();
        rows.sort_by(|one, other| one.at.cmp(&other.at));
        let zone = self.timezone.unwrap_or_else(|| "UTC".to_owned());
        let mut table = Table::new(["LOCAL", "UTC", "NOTE"]);
        for Tick { local, fold, at, note } in rows {
            let local = if fold { format!("{local} (again)") } else { local };
            table.row([local, at, note.unwrap_or_default()]);
        }
        let mut to = stdout().lock();
        writeln!(to, "in {zone}:")?;
        table.write(&mut to)?;
        Ok(Exit::Done)
    }
}
