//! Further jobs, accepted in the same transaction as the success of the one that asks for them.

use bytes::Bytes;
use haul_core::{
    IdMint, Job, JobId, JobOptions, Kind, Priority, Queue, RetryPolicy, Span, Timestamp,
    limits::ATTEMPTS_MAX,
    limits::{AHEAD_MS_MAX, FOLLOW_UPS_MAX, TAG_NAME_CHARS_MAX, TAG_VALUE_CHARS_MAX, TAGS_MAX, TIMEOUT_MS_MAX},
    name::NameError,
    trace,
};
use serde::Serialize;
use std::{sync::Arc, time::Duration};

/// Bytes that one follow-up's payload may have.
pub const FOLLOW_UP_PAYLOAD_BYTES_MAX: usize = 256 * 1_024;

/// Why a job cannot be enqueued. Each of these is a mistake in the handler that asks.
#[derive(Debug, thiserror::Error)]
pub enum EnqueueError {
    /// A kind's or a queue's name.
    #[error("the {what} {text:?} {reason}")]
    Name {
        /// `kind` or `queue`.
        what: &'static str,
        /// The text given.
        text: String,
        /// What is wrong with it.
        reason: NameError,
    },
    /// The payload does not serialize.
    #[error("the payload cannot be written as JSON")]
    Payload(#[source] serde_json::Error),
    /// A number or text that is out of bounds.
    #[error("{0}")]
    OutOfBounds(String),
    /// The attempt asks for more than it may.
    #[error("one attempt may enqueue at most {FOLLOW_UPS_MAX} jobs")]
    TooMany,
}

/// A job to be enqueued by [`JobContext::enqueue`](crate::JobContext::enqueue).
///
/// It goes to the queue of the job that enqueues it, with that job's priority, unless it says otherwise.
///
/// ```
/// # use std::time::Duration;
/// use haul_worker::NewJob;
/// let reminder = NewJob::new("mail.send", &"a payload").queue("mail").delay(Duration::from_secs(3_600));
/// ```
#[derive(Debug)]
#[must_use = "a job does nothing until it is enqueued"]
pub struct NewJob {
    kind: Result<Kind, EnqueueError>,
    payload: Result<Bytes, EnqueueError>,
    queue: Option<Result<Queue, EnqueueError>>,
    priority: Option<u8>,
    start: Start,
    options: JobOptions,
}

#[derive(Debug)]
enum Start {
    AtOnce,
    After(Duration),
    At(Timestamp),
}

impl NewJob {
    /// A job of this kind. What is wrong with it is said when it is enqueued.
    pub fn new(kind: impl AsRef<str>, payload: &(impl Serialize + ?Sized)) -> Self {
        Self {
            kind: Kind::new(&kind).map_err(|reason| name_error("kind", kind.as_ref(), reason)),
            payload: serde_json::to_vec(payload).map(Bytes::from).map_err(EnqueueError::Payload),
            queue: None,
            priority: None,
            start: Start::AtOnce,
            options: JobOptions::default(),
        }
    }

    /// Where it waits.
    pub fn queue(mut self, queue: impl AsRef<str>) -> Self {
        self.queue = Some(Queue::new(&queue).map_err(|reason| name_error("queue", queue.as_ref(), reason)));
        self
    }

    /// Its urgency within the queue: 0 first, 9 last.
    pub fn priority(mut self, priority: u8) -> Self {
        self.priority = Some(priority);
        self
    }

    /// The earliest time of its first attempt.
    pub fn run_at(mut self, time: Timestamp) -> Self {
        self.start = Start::At(time);
        self
    }

    /// The earliest time of its first attempt, counted from when it is enqueued.
    pub fn delay(mut self, pause: Duration) -> Self {
        self.start = Start::After(pause);
        self
    }

    /// How long one attempt may take.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.options.timeout = Span::from_ms(u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX));
        self
    }

    /// When and how often it is tried again.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.options.retry = policy;
        self
    }

    /// No attempt starts after this time, and none runs past it.
    pub fn deadline(mut self, deadline: Timestamp) -> Self {
        self.options.deadline = Some(deadline);
        self
    }

    /// A mark to find it by.
    pub fn tag(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.options.tags.insert(name.into(), value.into());
        self
    }

    /// The job as the ledger takes it.
    pub(crate) fn build(self, parent: &Job, mint: &IdMint) -> Result<Job, EnqueueError> {
        let kind = self.kind?;
        let payload = self.payload?;
        check_options(&self.options)?;
        if payload.len() > FOLLOW_UP_PAYLOAD_BYTES_MAX {
            return refuse(format!(
                "the payload has {} bytes, at most {FOLLOW_UP_PAYLOAD_BYTES_MAX} are allowed",
                payload.len()
            ));
        }
        let priority = match self.priority {
            None => parent.priority,
            Some(number) => Priority::new(number)
                .ok_or_else(|| EnqueueError::OutOfBounds(format!("the priority {number} is not between 0 and 9")))?,
        };
        let id: JobId = mint.next();
        let now = id.created_at();
        let run_at = match self.start {
            Start::AtOnce => now,
            Start::After(pause) => now.plus(pause),
            Start::At(time) => time,
        };
        if run_at.since(now).as_millis() > u128::from(AHEAD_MS_MAX.unsigned_abs()) {
            return refuse("the start lies more than ten years ahead".to_owned());
        }
        let options =
            if self.options == JobOptions::default() { JobOptions::shared_default() } else { Arc::new(self.options) };
        let options = JobOptions::traced(options, trace::current().or(parent.options.trace));
        let queue = self.queue.transpose()?.unwrap_or_else(|| parent.queue.clone());
        Ok(Job { id, tenant: parent.tenant.clone(), queue, kind, priority, run_at, payload, options })
    }
}

fn name_error(what: &'static str, text: &str, reason: NameError) -> EnqueueError {
    EnqueueError::Name { what, text: text.chars().take(120).collect(), reason }
}

fn refuse<T>(reason: String) -> Result<T, EnqueueError> {
    Err(EnqueueError::OutOfBounds(reason))
}

fn check_options(options: &JobOptions) -> Result<(), EnqueueError> {
    if !(1..=TIMEOUT_MS_MAX).contains(&options.timeout.as_ms()) {
        return refuse("the timeout must lie between 1 ms and 24 h".to_owned());
    }
    if !(1..=ATTEMPTS_MAX).contains(&options.retry.max_attempts) {
        return refuse(format!("max_attempts must lie between 1 and {ATTEMPTS_MAX}"));
    }
    if options.tags.len() > TAGS_MAX {
        return refuse(format!("at most {TAGS_MAX} tags are allowed"));
    }
    let fits = |(name, value): (&String, &String)| {
        (1..=TAG_NAME_CHARS_MAX).contains(&name.chars().count()) && value.chars().count() <= TAG_VALUE_CHARS_MAX
    };
    if !options.tags.iter().all(fits) {
        return refuse(format!(
            "a tag's name has 1 to {TAG_NAME_CHARS_MAX} characters, its value at most {TAG_VALUE_CHARS_MAX}"
        ));
    }
    Ok(())
}
