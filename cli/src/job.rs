//! A job as the API shows it, and how people see it.

use crate::table::{Table, facts};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::{
    collections::BTreeMap,
    io::{self, Write},
};

/// Characters of an error that fit into a table.
const ERROR_CHARS_MAX: usize = 60;

/// What is shown of a job. Fields that a newer API adds are left to `--json`.
#[derive(Debug, Deserialize)]
pub(crate) struct JobView {
    pub(crate) id: String,
    pub(crate) kind: String,
    pub(crate) queue: String,
    pub(crate) state: String,
    #[serde(default)]
    priority: u8,
    payload: Option<Box<RawValue>>,
    #[serde(default)]
    tags: BTreeMap<String, String>,
    created_at: String,
    run_at: Option<String>,
    #[serde(default)]
    attempt: u32,
    #[serde(default)]
    max_attempts: u32,
    deadline: Option<String>,
    origin: Option<String>,
    #[serde(default)]
    failures: Vec<FailureView>,
    pub(crate) outcome: Option<OutcomeView>,
}

#[derive(Debug, Deserialize)]
struct FailureView {
    attempt: u32,
    at: String,
    error: ErrorView,
    retry_at: Option<String>,
    #[serde(default)]
    crashed: bool,
}

#[derive(Debug, Deserialize)]
pub(crate) struct OutcomeView {
    pub(crate) state: String,
    finished_at: String,
    result: Option<Box<RawValue>>,
    error: Option<ErrorView>,
}

#[derive(Debug, Deserialize)]
struct ErrorView {
    message: String,
    detail: Option<String>,
}

impl ErrorView {
    fn text(&self) -> String {
        match &self.detail {
            Some(detail) => format!("{}\n{detail}", self.message),
            None => self.message.clone(),
        }
    }
}

impl JobView {
    /// Everything about it.
    pub(crate) fn write(&self, to: &mut impl Write) -> io::Result<()> {
        let json = |value: &Option<Box<RawValue>>| value.as_ref().map(|value| value.get().to_owned());
        let outcome = self.outcome.as_ref();
        let tags = self.tags.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ");
        facts(
            to,
            &[
                ("id", Some(self.id.clone())),
                ("kind", Some(self.kind.clone())),
                ("queue", Some(format!("{} (priority {})", self.queue, self.priority))),
                ("state", Some(self.state.clone())),
                ("attempt", Some(format!("{} of at most {}", self.attempt, self.max_attempts))),
                ("tags", (!tags.is_empty()).then_some(tags)),
                ("runs again", self.origin.clone()),
                ("created", Some(self.created_at.clone())),
                ("run at", self.run_at.clone().filter(|run_at| *run_at != self.created_at)),
                ("deadline", self.deadline.clone()),
                ("finished", outcome.map(|outcome| outcome.finished_at.clone())),
                ("payload", json(&self.payload)),
                ("result", outcome.and_then(|outcome| json(&outcome.result))),
                ("error", outcome.and_then(|outcome| outcome.error.as_ref()).map(ErrorView::text)),
            ],
        )?;
        if self.failures.is_empty() {
            return Ok(());
        }
        let mut table = Table::new(["ATTEMPT", "FAILED AT", "RETRY AT", "ERROR"]);
        for failure in &self.failures {
            let retry_at = failure.retry_at.clone().unwrap_or_default();
            let error = if failure.crashed { "crash: " } else { "" }.to_owned() + &failure.error.message;
            table.row([failure.attempt.to_string(), failure.at.clone(), retry_at, error]);
        }
        writeln!(to)?;
        table.write(to)
    }

    /// The row of a list.
    pub(crate) fn row(&self) -> [String; 6] {
        let ended = self.outcome.as_ref().and_then(|outcome| outcome.error.as_ref());
        let error = ended.or_else(|| self.failures.last().map(|failure| &failure.error));
        let error = error.map(|error| cut(&error.message)).unwrap_or_default();
        let created_at = self.created_at.clone();
        [self.id.clone(), self.kind.clone(), self.queue.clone(), self.state.clone(), created_at, error]
    }
}

/// The headline of a list.
pub(crate) const HEADLINE: [&str; 6] = ["ID", "KIND", "QUEUE", "STATE", "CREATED", "ERROR"];

fn cut(text: &str) -> String {
    if text.chars().count() <= ERROR_CHARS_MAX {
        return text.to_owned();
    }
    text.chars().take(ERROR_CHARS_MAX - 1).chain(['…']).collect()
}
