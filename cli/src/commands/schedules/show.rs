//! Schedules as people see them.

use crate::{
    client::{Remote, Request},
    commands::get,
    exit::Exit,
    table::{Table, facts},
};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::io::{Write, stdout};

/// A page of schedules, each as it came.
#[derive(Deserialize)]
pub(super) struct Page {
    pub(super) data: Vec<Box<RawValue>>,
    pub(super) next_cursor: Option<String>,
}

/// What is shown of a schedule. Fields that a newer API adds are left to `--json`.
#[derive(Deserialize)]
struct ScheduleView {
    name: String,
    state: String,
    source: Option<String>,
    cron: Option<String>,
    every: Option<String>,
    timezone: Option<String>,
    job: Option<JobView>,
    runs: u64,
    last_job: Option<String>,
    last_fired_at: Option<String>,
    fired_through: String,
    waiting: Option<String>,
    overdue: u64,
    overdue_since: Option<String>,
    problem: Option<String>,
    next: Vec<NextView>,
}

#[derive(Deserialize)]
struct JobView {
    kind: String,
    queue: String,
}

#[derive(Deserialize)]
struct NextView {
    tick: String,
    at: String,
    run_at: String,
}

/// Lists all schedules.
pub(super) async fn list(remote: &Remote) -> anyhow::Result<Exit> {
    let client = remote.connect()?;
    let mut table = Table::new(["NAME", "WHEN", "STATE", "NEXT", "LAST", "RUNS", "NOTE"]);
    let mut cursor = None;
    loop {
        let page: Page = client.read(Request::get(["schedules"]).query("cursor", cursor)).await?;
        for schedule in &page.data {
            if remote.json {
                writeln!(stdout(), "{}", schedule.get())?;
            } else {
                table.row(serde_json::from_str::<ScheduleView>(schedule.get())?.row());
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

/// Shows one schedule.
pub(super) async fn one(remote: &Remote, name: &str, next: u32) -> anyhow::Result<Exit> {
    let answer = remote.connect()?.send(Request::get(["schedules", name]).query("next", Some(next))).await?;
    if remote.json {
        get::write_json(&answer)?;
        return Ok(Exit::Done);
    }
    let schedule: ScheduleView = serde_json::from_slice(&answer)?;
    let mut to = stdout().lock();
    let overdue = schedule.overdue_text();
    facts(
        &mut to,
        &[
            ("name", Some(schedule.name.clone())),
            ("when", Some(schedule.when())),
            ("state", Some(schedule.state.clone())),
            ("problem", schedule.problem.clone()),
            ("overdue", overdue),
            ("source", schedule.source.clone()),
            ("job", schedule.job.as_ref().map(|job| format!("{} in {}", job.kind, job.queue))),
            ("runs", Some(schedule.runs.to_string())),
            ("last job", schedule.last_job.clone()),
            ("last fired", schedule.last_fired_at.clone()),
            ("fired through", Some(schedule.fired_through.clone())),
            ("waiting", schedule.waiting.clone()),
        ],
    )?;
    if !schedule.next.is_empty() {
        let mut table = Table::new(["NEXT TICK", "AT", "JOB RUNS AT"]);
        for next in schedule.next {
            table.row([next.tick, next.at, next.run_at]);
        }
        writeln!(to)?;
        table.write(&mut to)?;
    }
    Ok(Exit::Done)
}

impl ScheduleView {
    fn when(&self) -> String {
        match (&self.cron, &self.every) {
            (Some(cron), _) => match &self.timezone {
                Some(zone) => format!("{cron} ({zone})"),
                None => format!("{cron} (UTC)"),
            },
            (None, Some(every)) => format!("every {every}"),
            (None, None) => "?".to_owned(),
        }
    }

    fn overdue_text(&self) -> Option<String> {
        let since = self.overdue_since.as_ref()?;
        let count = if self.overdue >= 100 { "100 or more".to_owned() } else { self.overdue.to_string() };
        Some(format!("{count} since {since}"))
    }

    fn row(self) -> [String; 7] {
        let when = self.when();
        // A tick that has just come is no news.
        let is_behind = self.state == "paused" || self.overdue > 1;
        let overdue = self.overdue_text().filter(|_| is_behind).map(|text| format!("overdue: {text}"));
        let note = self.problem.or(overdue).unwrap_or_default();
        let next = match self.state.as_str() {
            "active" => self.next.into_iter().next().map(|next| next.at).unwrap_or_default(),
            _ => String::new(),
        };
        [self.name, when, self.state, next, self.last_fired_at.unwrap_or_default(), self.runs.to_string(), note]
    }
}
