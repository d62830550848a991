//! `haul schedules apply`: make the schedules what a file says.
//!
//! First everything is read and judged, by the API itself, which is asked what each request would do. Only when nothing is
//! wrong is anything changed, each schedule in the version that was judged. A schedule belongs to the file whose name it
//! carries; others are left alone.

use super::{
    file::{ScheduleFile, Wanted},
    show::Page,
};
use crate::{
    client::{Client, ClientError, Remote, Request},
    exit::{Exit, usage},
};
use clap::Args;
use serde::Deserialize;
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    io::{Write, stdout},
    path::PathBuf,
};

/// The fields that a definition has.
const FIELDS: [&str; 12] = [
    "source", "cron", "every", "seconds", "timezone", "dst", "missed", "overlap", "jitter", "start_at", "end_at",
    "max_runs",
];
/// The fields of its job, but for the payload.
const JOB_FIELDS: [&str; 7] = ["kind", "queue", "priority", "max_attempts", "timeout", "retry", "tags"];

#[derive(Debug, Args)]
#[command(after_help = "\
Example of a file:
  source = \"billing\"                     # whose schedules these are; --prune deletes none but those

  [schedules.nightly-report]
  cron = \"0 2 * * mon-fri\"
  timezone = \"Europe/London\"
  job = { kind = \"report\", payload = { format = \"pdf\" }, queue = \"reports\" }

Applied twice, the second time changes nothing. docs/schedules.md explains every key.")]
pub(super) struct Apply {
    /// The file
    file: PathBuf,
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Delete schedules that carry the file's `source` and are no longer in it
    #[arg(long)]
    prune: bool,
    /// Take over schedules of the file's names that were made by hand or by another file
    #[arg(long)]
    adopt: bool,
    #[command(flatten)]
    remote: Remote,
}

/// What is to be done.
#[derive(Default)]
struct Plan {
    create: Vec<Wanted>,
    change: Vec<Change>,
    delete: Vec<(String, String)>,
    /// In the store, of this file, and not in it.
    left: Vec<String>,
    unchanged: usize,
}

struct Change {
    wanted: Wanted,
    tag: String,
    differences: Vec<Difference>,
}

/// A field, as it is and as it is to be; a payload is not shown.
struct Difference {
    field: String,
    values: Option<(Value, Value)>,
}

#[derive(Deserialize)]
struct Listed {
    name: String,
    source: Option<String>,
}

impl Apply {
    /// Does it.
    pub(super) async fn run(self) -> anyhow::Result<Exit> {
        let file = ScheduleFile::read(&self.file)?;
        let client = self.remote.connect()?;
        let plan = self.plan(&client, file).await?;
        if self.remote.json {
            writeln!(stdout(), "{}", plan.to_json(self.dry_run))?;
        } else {
            plan.write(&mut stdout().lock())?;
        }
        if self.dry_run {
            if !self.remote.json && !plan.is_empty() {
                writeln!(stdout(), "dry run: nothing was done")?;
            }
            return Ok(Exit::Done);
        }
        plan.carry_out(&client).await?;
        Ok(Exit::Done)
    }

    /// Looks at everything and judges it. Nothing is changed.
    async fn plan(&self, client: &Client, file: ScheduleFile) -> anyhow::Result<Plan> {
        let mut plan = Plan::default();
        let mut faults = Vec::new();
        let names: BTreeSet<String> = file.schedules.iter().map(|wanted| wanted.name.clone()).collect();
        let path = self.file.display();
        for wanted in file.schedules {
            let place = format!("{path}:{}: {}", wanted.line, wanted.name);
            match self.judge(client, &mut plan, wanted, &file.source).await? {
                Ok(()) => {}
                Err(fault) => faults.push(format!("{place}: {fault}")),
            }
        }
        if !faults.is_empty() {
            return Err(usage(format!("{}\nnothing was changed", faults.join("\n"))));
        }
        for name in of_source(client, &file.source).await? {
            if names.contains(&name) {
                continue;
            }
            match client.look(Request::get(["schedules", &name])).await {
                Ok((_, tag)) if self.prune => plan.delete.push((name, tag)),
                Ok(_) => plan.left.push(name),
                Err(error) if error.status() == Some(404) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(plan)
    }

    /// What is to be done about one schedule of the file, or what is wrong with it.
    async fn judge(
        &self,
        client: &Client,
        plan: &mut Plan,
        wanted: Wanted,
        source: &str,
    ) -> anyhow::Result<Result<(), String>> {
        let (current, tag) = match client.look(Request::get(["schedules", &wanted.name])).await {
            Ok(found) => found,
            Err(error) if error.status() == Some(404) => {
                let answer = client.send(wanted.creation().query("dry_run", Some(true))).await;
                return Ok(match fault(answer)? {
                    Ok(_) => {
                        plan.create.push(wanted);
                        Ok(())
                    }
                    Err(fault) => Err(fault),
                });
            }
            Err(error) => return Ok(fault(Err(error))?.map(drop)),
        };
        let current: Value = serde_json::from_slice(&current)?;
        if current["source"] != source && !self.adopt {
            let whose = match current["source"].as_str() {
                Some(other) => format!("the file \"{other}\""),
                None => "nobody's file".to_owned(),
            };
            return Ok(Err(format!("exists and is kept in {whose}\n  hint: --adopt takes it over")));
        }
        let answer = client.send(wanted.update(&tag).query("dry_run", Some(true))).await;
        let becomes: Value = match fault(answer)? {
            Ok(answer) => serde_json::from_slice(&answer)?,
            Err(fault) => return Ok(Err(fault)),
        };
        let differences = differences(&current, &becomes);
        if differences.is_empty() {
            plan.unchanged += 1;
        } else {
            plan.change.push(Change { wanted, tag, differences });
        }
        Ok(Ok(()))
    }
}

/// What the API refuses is a fault of the file; everything else ends the command.
fn fault(answer: Result<Vec<u8>, ClientError>) -> anyhow::Result<Result<Vec<u8>, String>> {
    match answer {
        Ok(answer) => Ok(Ok(answer)),
        Err(error) if matches!(error.status(), Some(400 | 404 | 409 | 412 | 422)) => Ok(Err(error.to_string())),
        Err(error) => Err(error.into()),
    }
}

/// The names of all schedules that carry this source.
async fn of_source(client: &Client, source: &str) -> anyhow::Result<Vec<String>> {
    let (mut names, mut cursor) = (Vec::new(), None);
    loop {
        let page: Page = client.read(Request::get(["schedules"]).query("cursor", cursor)).await?;
        for schedule in &page.data {
            let listed: Listed = serde_json::from_str(schedule.get())?;
            if listed.source.as_deref() == Some(source) {
                names.push(listed.name);
            }
        }
        cursor = page.next_cursor;
        if cursor.is_none() {
            return Ok(names);
        }
    }
}

fn differences(current: &Value, becomes: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    let mut compare = |name: String, old: &Value, new: &Value| {
        if old != new {
            found.push(Difference { field: name, values: Some((old.clone(), new.clone())) });
        }
    };
    for field in FIELDS {
        compare(field.to_owned(), &current[field], &becomes[field]);
    }
    for field in JOB_FIELDS {
        compare(format!("job.{field}"), &current["job"][field], &becomes["job"][field]);
    }
    if current["job"]["payload"] != becomes["job"]["payload"] {
        found.push(Difference { field: "job.payload".to_owned(), values: None });
    }
    found
}

impl Wanted {
    fn creation(&self) -> Request {
        let mut body = self.definition.clone();
        body.insert("name".to_owned(), self.name.clone().into());
        Request::post(["schedules"]).body(Value::Object(body).to_string().into_bytes())
    }

    fn update(&self, tag: &str) -> Request {
        let body = Value::Object(self.definition.clone()).to_string().into_bytes();
        Request::put(["schedules", &self.name]).body(body).if_match(tag)
    }
}

impl Plan {
    fn is_empty(&self) -> bool {
        self.create.is_empty() && self.change.is_empty() && self.delete.is_empty()
    }

    fn write(&self, to: &mut impl Write) -> std::io::Result<()> {
        for wanted in &self.create {
            writeln!(to, "+ {} is new", wanted.name)?;
        }
        for Change { wanted, differences, .. } in &self.change {
            writeln!(to, "~ {} changes", wanted.name)?;
            for Difference { field, values } in differences {
                match values {
                    Some((old, new)) => writeln!(to, "    {field}: {old} -> {new}")?,
                    None => writeln!(to, "    {field} differs")?,
                }
            }
        }
        for (name, _) in &self.delete {
            writeln!(to, "- {name} is no longer in the file")?;
        }
        for name in &self.left {
            writeln!(to, "  {name} is no longer in the file and stays; --prune deletes it")?;
        }
        let Self { create, change, delete, unchanged, .. } = self;
        if self.is_empty() {
            return writeln!(to, "nothing to do: {unchanged} unchanged");
        }
        let (create, change, delete) = (create.len(), change.len(), delete.len());
        writeln!(to, "{create} to create, {change} to change, {delete} to delete, {unchanged} unchanged")
    }

    fn to_json(&self, dry_run: bool) -> Value {
        let fields = |change: &Change| -> Vec<String> {
            change.differences.iter().map(|difference| difference.field.clone()).collect()
        };
        json!({
            "dry_run": dry_run,
            "created": self.create.iter().map(|wanted| wanted.name.as_str()).collect::<Vec<_>>(),
            "changed": self.change.iter()
                .map(|change| json!({"name": change.wanted.name, "fields": fields(change)}))
                .collect::<Vec<_>>(),
            "deleted": self.delete.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
            "left": self.left,
            "unchanged": self.unchanged,
        })
    }

    /// Does it, in this order; ends with the first that fails.
    async fn carry_out(&self, client: &Client) -> anyhow::Result<()> {
        let creations = self.create.iter().map(|wanted| (&wanted.name, wanted.creation()));
        let changes = self.change.iter().map(|change| (&change.wanted.name, change.wanted.update(&change.tag)));
        let deletions =
            self.delete.iter().map(|(name, tag)| (name, Request::delete(["schedules", name]).if_match(tag)));
        for (done, (name, request)) in creations.chain(changes).chain(deletions).enumerate() {
            if let Err(error) = client.send(request).await {
                eprintln!("haul: {name} failed; {done} before it are done, the rest was not tried: apply again");
                return Err(error.into());
            }
        }
        Ok(())
    }
}
