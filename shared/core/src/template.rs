//! Templates: what every job of a schedule is made of.

use crate::{
    id::JobId,
    job::{Job, JobOptions, Priority},
    limits::TAGS_MAX,
    name::{Kind, Queue, Tenant},
    time::Timestamp,
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::sync::Arc;

/// The tag that names the schedule of a job.
pub const SCHEDULE_TAG: &str = "haul.schedule";
/// The tag that names the tick of a job.
pub const TICK_TAG: &str = "haul.tick";
/// Tags that a template may have: its jobs get two more.
pub const TEMPLATE_TAGS_MAX: usize = TAGS_MAX - 2;

/// What is the same in all jobs of a schedule.
#[derive(Debug, Clone, PartialEq)]
pub struct JobTemplate {
    /// Which handler runs them.
    pub kind: Kind,
    /// Where they wait.
    pub queue: Queue,
    /// Their urgency within the queue.
    pub priority: Priority,
    /// JSON, kept byte for byte. Never logged.
    pub payload: Bytes,
    /// What most jobs leave at its default; without a deadline, and with room for two more tags.
    pub options: JobOptions,
}

/// Why a stored template cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// It is not written as a template is.
    #[error("is not a job template: {0}")]
    Syntax(#[from] serde_json::Error),
    /// The payload is not JSON.
    #[error("has a payload that is not UTF-8")]
    Payload(#[from] std::str::Utf8Error),
    /// The priority is not one.
    #[error("has the priority {0}; 0 to 9 are allowed")]
    Priority(u8),
    /// There are too many tags.
    #[error("has {0} tags; at most {TEMPLATE_TAGS_MAX} are allowed")]
    Tags(usize),
}

/// The stored form.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored<'a> {
    kind: Kind,
    #[serde(default, skip_serializing_if = "is_default")]
    queue: Queue,
    #[serde(default = "default_priority", skip_serializing_if = "is_default_priority")]
    priority: u8,
    #[serde(borrow)]
    payload: &'a RawValue,
    #[serde(default, skip_serializing_if = "is_default")]
    options: JobOptions,
}

fn default_priority() -> u8 {
    Priority::default().get()
}
fn is_default_priority(priority: &u8) -> bool {
    *priority == default_priority()
}
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl JobTemplate {
    /// The stored form: JSON.
    ///
    /// # Errors
    /// When the payload is not JSON, or there are too many tags.
    pub fn encode(&self) -> Result<String, TemplateError> {
        self.check()?;
        let payload = serde_json::from_str(std::str::from_utf8(&self.payload)?)?;
        let stored = Stored {
            kind: self.kind.clone(),
            queue: self.queue.clone(),
            priority: self.priority.get(),
            payload,
            options: self.options.clone(),
        };
        Ok(serde_json::to_string(&stored)?)
    }

    /// Reads the stored form back.
    ///
    /// # Errors
    /// When it is not one.
    pub fn decode(stored: &str) -> Result<Self, TemplateError> {
        let Stored { kind, queue, priority, payload, options } = serde_json::from_str(stored)?;
        let priority = Priority::new(priority).ok_or(TemplateError::Priority(priority))?;
        let payload = Bytes::copy_from_slice(payload.get().as_bytes());
        let template = Self { kind, queue, priority, payload, options };
        template.check()?;
        Ok(template)
    }

    fn check(&self) -> Result<(), TemplateError> {
        let tags = self.options.tags.len();
        if tags > TEMPLATE_TAGS_MAX { Err(TemplateError::Tags(tags)) } else { Ok(()) }
    }

    /// A job of the schedule, for the tick: both are among its tags.
    pub fn job(&self, id: JobId, tenant: &Tenant, schedule: &str, tick: &str, run_at: Timestamp) -> Job {
        let mut options = self.options.clone();
        options.tags.insert(SCHEDULE_TAG.to_owned(), schedule.to_owned());
        options.tags.insert(TICK_TAG.to_owned(), tick.to_owned());
        Job {
            id,
            tenant: tenant.clone(),
            queue: self.queue.clone(),
            kind: self.kind.clone(),
            priority: self.priority,
            run_at,
            payload: self.payload.clone(),
            options: Arc::new(options),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn template() -> JobTemplate {
        JobTemplate {
            kind: Kind::new("report").unwrap(),
            queue: Queue::new("reports").unwrap(),
            priority: Priority::new(2).unwrap(),
            payload: Bytes::from_static(b"{\"a\": 1e400, \"b\":  \"\\u0000\"}"),
            options: JobOptions { tags: BTreeMap::from([("a".into(), "b".into())]), ..JobOptions::default() },
        }
    }

    #[test]
    fn a_template_survives_storage_with_its_payload_byte_for_byte() {
        assert_eq!(JobTemplate::decode(&template().encode().unwrap()).unwrap(), template());
        let short = "{\"kind\":\"echo\",\"payload\":null}";
        assert_eq!(JobTemplate::decode(short).unwrap().encode().unwrap(), short, "defaults take no room");
    }

    #[test]
    fn what_is_no_template_is_refused_with_a_reason() {
        for (stored, reason) in [
            ("", "EOF"),
            ("{}", "missing field"),
            ("{\"kind\":\"a b\",\"payload\":1}", "letters"),
            ("{\"kind\":\"a\",\"payload\":1,\"priority\":10}", "0 to 9"),
            ("{\"kind\":\"a\",\"payload\":1,\"quue\":\"b\"}", "unknown field"),
        ] {
            let error = JobTemplate::decode(stored).unwrap_err().to_string();
            assert!(error.contains(reason), "{stored}: {error}");
        }
        let mut crowded = template();
        crowded.options.tags = (0..15).map(|n| (n.to_string(), String::new())).collect();
        assert!(matches!(crowded.encode(), Err(TemplateError::Tags(15))));
    }

    #[test]
    fn a_job_names_its_schedule_and_its_tick() {
        let (id, at) = (JobId(uuid::Uuid::nil()), Timestamp::from_ms(7));
        let job = template().job(id, &Tenant::default(), "nightly", "2026-11-22T00:00:00Z", at);
        let tags: Vec<_> = job.options.tags.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(tags, [("a", "b"), (SCHEDULE_TAG, "nightly"), (TICK_TAG, "2026-11-22T00:00:00Z")]);
        assert_eq!((job.run_at, job.payload, job.kind), (at, template().payload, template().kind));
    }
}
