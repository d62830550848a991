//! A job: what was asked. It never changes after it was accepted.

use crate::{
    id::JobId,
    name::{Kind, Queue, QueueRef, Tenant},
    policy::RetryPolicy,
    span::Span,
    time::Timestamp,
    trace::TraceContext,
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, sync::Arc};

/// How urgent a job is among those of its queue: 0 first, 9 last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Priority(u8);

impl Priority {
    /// How many there are.
    pub const COUNT: usize = 10;

    /// `None` above 9.
    pub const fn new(priority: u8) -> Option<Self> {
        if priority < 10 { Some(Self(priority)) } else { None }
    }
    /// 0 to 9.
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl Default for Priority {
    fn default() -> Self {
        Self(5)
    }
}

/// A job as it was accepted.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// Its id; tells when it was accepted.
    pub id: JobId,
    /// Whose it is.
    pub tenant: Tenant,
    /// Where it waits.
    pub queue: Queue,
    /// Which handler runs it.
    pub kind: Kind,
    /// Its urgency within the queue.
    pub priority: Priority,
    /// The earliest time of its first attempt; not later than its acceptance for "at once".
    pub run_at: Timestamp,
    /// JSON, kept byte for byte. Never logged.
    pub payload: Bytes,
    /// What most jobs leave at its default.
    pub options: Arc<JobOptions>,
}

impl Job {
    /// When it was accepted.
    pub fn created_at(&self) -> Timestamp {
        self.id.created_at()
    }
    /// Its queue, with the tenant.
    pub fn queue_ref(&self) -> QueueRef {
        QueueRef { tenant: self.tenant.clone(), queue: self.queue.clone() }
    }
}

/// The settings of a job that most jobs leave alone.
///
/// Ledgers store them as one JSON text, and none at all when everything is at its default. The defaults here are part
/// of that stored format: changing one changes jobs that wait already. What an operator configures as a default is
/// applied at submit and stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct JobOptions {
    /// How long one attempt may take.
    #[serde(skip_serializing_if = "is_default_timeout")]
    pub timeout: Span,
    /// When and how often to try again.
    #[serde(skip_serializing_if = "RetryPolicy::is_default")]
    pub retry: RetryPolicy,
    /// No attempt starts after this time, and none runs past it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,
    /// The submitter's own marks, to find jobs by.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// The job that this one runs again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<JobId>,
    /// The trace of the request that it came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace: Option<TraceContext>,
}

const TIMEOUT: Span = Span::from_secs(300);

fn is_default_timeout(timeout: &Span) -> bool {
    *timeout == TIMEOUT
}

impl Default for JobOptions {
    fn default() -> Self {
        Self {
            timeout: TIMEOUT,
            retry: RetryPolicy::default(),
            deadline: None,
            tags: BTreeMap::new(),
            origin: None,
            trace: None,
        }
    }
}

impl JobOptions {
    /// The same, with this trace; without one, exactly the same.
    pub fn traced(options: Arc<Self>, trace: Option<TraceContext>) -> Arc<Self> {
        let Some(trace) = trace else { return options };
        let mut options = Arc::unwrap_or_clone(options);
        options.trace = Some(trace);
        Arc::new(options)
    }

    /// The stored form: `None` when everything is at its default.
    pub fn encode(&self) -> Option<String> {
        if *self == Self::default() {
            return None;
        }
        // Strings, numbers and maps of strings only: serialising them cannot fail.
        serde_json::to_string(self).ok()
    }

    /// Reads the stored form back.
    pub fn decode(stored: Option<&str>) -> Result<Arc<Self>, serde_json::Error> {
        match stored {
            None => Ok(Self::shared_default()),
            Some(text) => serde_json::from_str(text).map(Arc::new),
        }
    }

    /// One shared copy of the defaults, so that most jobs allocate none.
    pub fn shared_default() -> Arc<Self> {
        static DEFAULT: std::sync::OnceLock<Arc<JobOptions>> = std::sync::OnceLock::new();
        DEFAULT.get_or_init(Arc::default).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_survive_storage_and_defaults_take_no_room() {
        assert_eq!(JobOptions::default().encode(), None);
        let options = JobOptions {
            timeout: Span::from_secs(3),
            deadline: Some(Timestamp::from_ms(1_800_000_000_000)),
            tags: BTreeMap::from([("order".into(), "\u{0}7".into())]),
            trace: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().ok(),
            ..JobOptions::default()
        };
        let stored = options.encode().unwrap();
        assert_eq!(*JobOptions::decode(Some(&stored)).unwrap(), options);
    }
}
