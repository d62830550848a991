//! A file of schedules: from TOML to the bodies that the API takes.
//!
//! The file is read strictly: a key that does not exist is an error with its line. What values mean is judged by the API,
//! which knows the rules and the defaults; an error of its is shown with the line at which the schedule begins.

use crate::exit::usage;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::{collections::BTreeMap, path::Path};
use toml::{Spanned, value::Table};

/// The largest file.
const BYTES_MAX: u64 = 16 * 1024 * 1024;
/// What the platform's own schedules would say; no file may.
const RESERVED: &str = "haul";

/// A schedule of a file.
pub(super) struct Wanted {
    /// Its name.
    pub(super) name: String,
    /// At which line it begins.
    pub(super) line: usize,
    /// The whole definition, as the API takes it.
    pub(super) definition: Map<String, Value>,
}

/// A file that was read.
pub(super) struct ScheduleFile {
    /// What it calls itself.
    pub(super) source: String,
    /// Its schedules, by name.
    pub(super) schedules: Vec<Wanted>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    source: String,
    #[serde(default)]
    schedules: BTreeMap<String, Spanned<Entry>>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    cron: Option<String>,
    every: Option<String>,
    seconds: Option<bool>,
    timezone: Option<String>,
    dst: Option<Dst>,
    missed: Option<Missed>,
    overlap: Option<String>,
    jitter: Option<String>,
    #[serde(skip_serializing)]
    start_at: Option<toml::Value>,
    #[serde(skip_serializing)]
    end_at: Option<toml::Value>,
    max_runs: Option<u64>,
    job: Job,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Dst {
    gap: Option<String>,
    overlap: Option<String>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Missed {
    policy: String,
    max: Option<u32>,
    max_age: Option<String>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Job {
    kind: String,
    #[serde(skip_serializing)]
    payload: Option<toml::Value>,
    #[serde(skip_serializing)]
    payload_json: Option<String>,
    queue: Option<String>,
    priority: Option<u8>,
    max_attempts: Option<u16>,
    timeout: Option<String>,
    retry: Option<Retry>,
    tags: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Retry {
    base: Option<String>,
    cap: Option<String>,
    max_age: Option<String>,
}

impl ScheduleFile {
    /// Reads a file.
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let shown = path.display();
        let refuse = |error| usage(format!("the file {shown} cannot be read: {error}"));
        let bytes = std::fs::metadata(path).map_err(refuse)?.len();
        if bytes > BYTES_MAX {
            return Err(usage(format!("the file {shown} has {bytes} bytes, at most {BYTES_MAX} are read")));
        }
        Self::parse(&std::fs::read_to_string(path).map_err(refuse)?).map_err(|error| usage(format!("{shown}: {error}")))
    }

    /// Reads a file's text.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let File { source, schedules } =
            toml::from_str(text).map_err(|error| error.to_string().trim_end().to_owned())?;
        if source == RESERVED {
            return Err(format!("the source \"{RESERVED}\" is the platform's own; call the file something else"));
        }
        let mut wanted = Vec::with_capacity(schedules.len());
        for (name, entry) in schedules {
            let line = 1 + text[..entry.span().start.min(text.len())].matches('\n').count();
            let mut definition =
                definition(entry.into_inner()).map_err(|error| format!("line {line}: {name}: {error}"))?;
            definition.insert("source".to_owned(), source.clone().into());
            wanted.push(Wanted { name, line, definition });
        }
        Ok(Self { source, schedules: wanted })
    }
}

fn definition(mut entry: Entry) -> Result<Map<String, Value>, String> {
    let times = [("start_at", entry.start_at.take()), ("end_at", entry.end_at.take())];
    let payload = match (entry.job.payload.take(), entry.job.payload_json.take()) {
        (Some(payload), None) => json(payload)?,
        (None, Some(text)) => {
            serde_json::from_str(&text).map_err(|error| format!("payload_json is not JSON: {error}"))?
        }
        (None, None) => return Err("its job has no payload; write payload or payload_json".to_owned()),
        (Some(_), Some(_)) => return Err("its job has payload and payload_json; write one of them".to_owned()),
    };
    let Ok(Value::Object(mut definition)) = serde_json::to_value(entry) else {
        return Err("cannot be written as JSON".to_owned());
    };
    for (name, time) in times {
        definition.insert(name.to_owned(), time.map(json).transpose()?.unwrap_or_default());
    }
    if let Some(Value::Object(job)) = definition.get_mut("job") {
        job.insert("payload".to_owned(), payload);
    }
    Ok(definition)
}

/// TOML as JSON. A time becomes the text that it is.
fn json(value: toml::Value) -> Result<Value, String> {
    Ok(match value {
        toml::Value::String(text) => text.into(),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) => serde_json::Number::from_f64(number)
            .ok_or("a number that is infinite or none cannot be written as JSON")?
            .into(),
        toml::Value::Boolean(flag) => flag.into(),
        toml::Value::Datetime(time) => time.to_string().into(),
        toml::Value::Array(values) => values.into_iter().map(json).collect::<Result<Vec<_>, _>>()?.into(),
        toml::Value::Table(table) => object(table)?.into(),
    })
}

fn object(table: Table) -> Result<Map<String, Value>, String> {
    table.into_iter().map(|(name, value)| Ok((name, json(value)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn error(text: &str) -> String {
        ScheduleFile::parse(text).err().unwrap_or_else(|| panic!("{text} was read"))
    }

    #[test]
    fn a_file_is_read_with_its_values_as_the_api_takes_them() {
        let file = "source = \"billing\"\n\n[schedules.b]\nevery = \"90s\"\nstart_at = 2026-11-22T09:00:00Z\n\
            job = { kind = \"echo\", payload = { n = 1.5, at = 2026-01-01, list = [true] } }\n\n\
            [schedules.a]\ncron = \"@daily\"\njob = { kind = \"echo\", payload_json = \"null\" }\n";
        let ScheduleFile { source, schedules } = ScheduleFile::parse(file).unwrap();
        assert_eq!((source.as_str(), schedules.len()), ("billing", 2));
        assert_eq!((schedules[0].name.as_str(), schedules[0].line), ("a", 8));
        assert_eq!(schedules[0].definition["job"]["payload"], json!(null));
        let b = &schedules[1].definition;
        assert_eq!((&b["every"], &b["cron"], &b["source"]), (&json!("90s"), &json!(null), &json!("billing")));
        assert_eq!(b["start_at"], json!("2026-11-22T09:00:00Z"));
        assert_eq!(b["job"]["payload"], json!({"n": 1.5, "at": "2026-01-01", "list": [true]}));
    }

    #[test]
    fn a_key_that_does_not_exist_is_refused_with_its_line() {
        let job = "job = { kind = \"echo\", payload = 1 }";
        for (text, line, key) in [
            (format!("source = \"a\"\nowner = \"b\"\n[schedules.a]\nevery = \"1h\"\n{job}\n"), 2, "owner"),
            (format!("source = \"a\"\n[schedules.a]\nevry = \"1h\"\n{job}\n"), 3, "evry"),
            (
                format!("source = \"a\"\n[schedules.a]\nevery = \"1h\"\ndst = {{ fold = \"first\" }}\n{job}\n"),
                4,
                "fold",
            ),
            ("source = \"a\"\n[schedules.a]\nevery = \"1h\"\njob = { kid = \"echo\", payload = 1 }\n".into(), 4, "kid"),
        ] {
            let error = error(&text);
            assert!(error.contains(&format!("line {line}")) && error.contains(key), "{error}");
        }
    }

    #[test]
    fn what_a_file_must_say_is_asked_for() {
        assert!(error("[schedules.a]\nevery = \"1h\"\njob = { kind = \"echo\", payload = 1 }").contains("source"));
        assert!(error("source = \"haul\"").contains("platform"));
        let with_job = |job: &str| format!("source = \"a\"\n[schedules.a]\nevery = \"1h\"\njob = {job}\n");
        for (job, said) in [
            ("{ kind = \"echo\" }", "no payload"),
            ("{ kind = \"echo\", payload = 1, payload_json = \"1\" }", "one of them"),
            ("{ kind = \"echo\", payload_json = \"{\" }", "not JSON"),
            ("{ kind = \"echo\", payload = inf }", "infinite"),
            ("{ payload = 1 }", "kind"),
        ] {
            let error = error(&with_job(job));
            assert!(error.contains(said), "{error}");
        }
        assert!(error("source = \"a\"\n[schedules.a]\n[schedules.a]\n").contains("line 3"));
    }
}
