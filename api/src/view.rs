//! The shapes that clients read. Field names and order here are the wire format; the snapshots of the tests hold them.

use bytes::Bytes;
use haul_core::{
    Failure, Job, JobError, JobId, JobState, Outcome, RetryPolicy, Span, Timestamp, TraceContext, outcome::JobRecord,
};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// A job.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Job, example = json!({
    "id": "01945a7e-e9a1-7a3a-ba9a-0e9a7d0e9f5a",
    "kind": "http.request",
    "queue": "mail",
    "state": "succeeded",
    "priority": 5,
    "payload": {"method": "POST", "url": "https://example.com/hook", "body": {"order": 7}},
    "tags": {"order": "7"},
    "created_at": "2026-11-22T09:00:00.000Z",
    "run_at": "2026-11-22T09:00:00.000Z",
    "deadline": null,
    "timeout": "5m",
    "attempt": 2,
    "max_attempts": 20,
    "retry": {"base": "1s", "cap": "1h", "max_age": "7days"},
    "origin": null,
    "failures": [{
        "attempt": 1,
        "at": "2026-11-22T09:00:00.120Z",
        "error": {"message": "the server answered 503", "detail": null},
        "retry_at": "2026-11-22T09:00:00.800Z"
    }],
    "outcome": {
        "state": "succeeded",
        "finished_at": "2026-11-22T09:00:00.950Z",
        "result": {"status": 200},
        "error": null
    }
}))]
pub(crate) struct JobView<'a> {
    /// Its id, a UUIDv7: sorts by acceptance.
    #[schema(value_type = uuid::Uuid)]
    id: JobId,
    /// Which handler runs it.
    #[schema(examples("http.request"))]
    kind: &'a str,
    /// Where it waits.
    #[schema(examples("default"))]
    queue: &'a str,
    /// Derived from everything below and the leases.
    #[schema(value_type = StateName)]
    state: JobState,
    /// 0 first, 9 last.
    #[schema(maximum = 9)]
    priority: u8,
    /// As it was submitted, byte for byte; null once it was erased.
    #[serde(serialize_with = "payload_json")]
    #[schema(value_type = serde_json::Value)]
    payload: &'a Bytes,
    /// `true` once the payload was erased, with the result and the details of errors; absent until then.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    payload_erased: bool,
    /// The submitter's own marks.
    tags: &'a BTreeMap<String, String>,
    /// When it was accepted.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// The earliest time of its first attempt.
    #[schema(value_type = String, format = DateTime)]
    run_at: Timestamp,
    /// No attempt starts after this time, and none runs past it.
    #[schema(value_type = Option<String>, format = DateTime)]
    deadline: Option<Timestamp>,
    /// How long one attempt may take.
    #[schema(value_type = String, examples("5m"))]
    timeout: Span,
    /// The latest attempt that started, from 1; 0 before the first.
    attempt: u32,
    /// Attempts in all.
    max_attempts: u16,
    /// When failed attempts are tried again.
    retry: RetryView,
    /// The job that this one runs again.
    #[schema(value_type = Option<uuid::Uuid>)]
    origin: Option<JobId>,
    /// The trace that it belongs to, 32 hexadecimal digits; absent when it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, examples("4bf92f3577b34da6a3ce929d0e0e4736"))]
    trace_id: Option<String>,
    /// Failed attempts that were, or will be, tried again, oldest first. In a list: the latest only.
    failures: Vec<FailureView<'a>>,
    /// How it ended; null until then.
    outcome: Option<OutcomeView<'a>>,
}

/// The states of a job.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
#[expect(dead_code, reason = "documents JobState, which lives in core")]
pub(crate) enum StateName {
    Scheduled,
    Queued,
    Running,
    Retrying,
    Succeeded,
    Dead,
    Cancelled,
}

/// When failed attempts are tried again.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Retry)]
pub(crate) struct RetryView {
    /// The upper bound of the first pause; doubled after each failure.
    #[schema(value_type = String, examples("1s"))]
    base: Span,
    /// The longest pause.
    #[schema(value_type = String, examples("1h"))]
    cap: Span,
    /// No retry starts later than this after `run_at`.
    #[schema(value_type = String, examples("7days"))]
    max_age: Span,
}

/// A failed attempt after which the job is tried again.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Failure)]
struct FailureView<'a> {
    /// Which attempt, from 1.
    attempt: u32,
    /// When it failed.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// Why.
    error: ErrorView<'a>,
    /// When the next attempt may start.
    #[schema(value_type = String, format = DateTime)]
    retry_at: Timestamp,
    /// Present and true when it took the process that ran it down with it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    crashed: bool,
}

/// What went wrong in an attempt.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = JobError)]
struct ErrorView<'a> {
    /// One line for people.
    message: &'a str,
    /// More, where there is more.
    detail: Option<&'a str>,
}

/// How a job ended.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Outcome)]
struct OutcomeView<'a> {
    /// `succeeded`, `dead` or `cancelled`.
    state: &'a str,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    finished_at: Timestamp,
    /// What the handler returned.
    #[serde(serialize_with = "optional_raw_json")]
    #[schema(value_type = serde_json::Value)]
    result: Option<&'a Bytes>,
    /// Why it is dead.
    error: Option<ErrorView<'a>>,
}

impl<'a> JobView<'a> {
    /// A job as it is accepted: what a submit answers, also when it is replayed later.
    pub(crate) fn accepted(job: &'a Job) -> Self {
        let state = JobState::derive(None, false, 0, job.run_at, job.created_at());
        Self::of(job, state, 0, Vec::new(), None)
    }

    /// A job as it is now.
    pub(crate) fn current(record: &'a JobRecord, leased: bool, now: Timestamp) -> Self {
        let final_state = record.outcome.as_ref().map(|outcome| outcome.state);
        let state = JobState::derive(final_state, leased, record.failure_count, record.job.run_at, now);
        let attempt = match &record.outcome {
            Some(outcome) => outcome.attempt,
            None => record.failure_count + u32::from(leased),
        };
        let failures = record.failures.iter().map(FailureView::of).collect();
        Self::of(&record.job, state, attempt, failures, record.outcome.as_ref().map(OutcomeView::of))
    }

    fn of(
        job: &'a Job,
        state: JobState,
        attempt: u32,
        failures: Vec<FailureView<'a>>,
        outcome: Option<OutcomeView<'a>>,
    ) -> Self {
        let options = &*job.options;
        let retry = &options.retry;
        Self {
            id: job.id,
            kind: job.kind.as_str(),
            queue: job.queue.as_str(),
            state,
            priority: job.priority.get(),
            payload: &job.payload,
            payload_erased: job.payload.is_empty(),
            tags: &options.tags,
            created_at: job.created_at(),
            run_at: job.run_at,
            deadline: options.deadline,
            timeout: options.timeout,
            attempt,
            max_attempts: retry.max_attempts,
            retry: RetryView::of(retry),
            origin: options.origin,
            trace_id: options.trace.map(TraceContext::trace_id),
            failures,
            outcome,
        }
    }
}

impl RetryView {
    pub(crate) fn of(retry: &RetryPolicy) -> Self {
        Self { base: retry.base, cap: retry.cap, max_age: retry.max_age }
    }
}

impl<'a> FailureView<'a> {
    fn of(failure: &'a Failure) -> Self {
        let Failure { attempt, at, error, retry_at, crashed } = failure;
        Self { attempt: *attempt, at: *at, error: ErrorView::of(error), retry_at: *retry_at, crashed: *crashed }
    }
}

impl<'a> ErrorView<'a> {
    fn of(error: &'a JobError) -> Self {
        Self { message: &error.message, detail: error.detail.as_deref() }
    }
}

impl<'a> OutcomeView<'a> {
    fn of(outcome: &'a Outcome) -> Self {
        Self {
            state: outcome.state.as_str(),
            finished_at: outcome.finished_at,
            result: outcome.result.as_ref(),
            error: outcome.error.as_ref().map(ErrorView::of),
        }
    }
}

/// What became of one item of a batch or of one line of a bulk request.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = Item)]
pub(crate) enum ItemView<'a> {
    /// It is accepted.
    Accepted {
        /// The job's id.
        #[schema(value_type = uuid::Uuid)]
        id: JobId,
        /// Present and true when an earlier request under the same key had it accepted.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        replayed: bool,
    },
    /// It is not.
    Rejected {
        /// Why.
        error: crate::problem::ProblemBody<'a>,
    },
}

/// What a batch answers.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BatchAnswer)]
pub(crate) struct BatchView<'a> {
    /// One item per job, in order.
    pub(crate) data: Vec<ItemView<'a>>,
}

/// The last line of a bulk answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BulkTotal)]
pub(crate) struct BulkTotal<'a> {
    /// Lines that were accepted, replays included.
    pub(crate) accepted: u64,
    /// Lines that were not.
    pub(crate) rejected: u64,
    /// Why the request ended before its last line; absent when all lines were read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<crate::problem::ProblemBody<'a>>,
}

/// A page of jobs, newest first.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = JobPage)]
pub(crate) struct JobPage<'a> {
    /// The jobs; may be fewer than asked for, even none, although more follow.
    pub(crate) data: Vec<JobView<'a>>,
    /// Whether more follow.
    pub(crate) has_more: bool,
    /// Give it back as `cursor` to read on; null at the end.
    pub(crate) next_cursor: Option<String>,
}

/// What cancelling by filter answers.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CancelAnswer {
    /// Jobs that this request cancelled.
    pub(crate) cancelled: u64,
    /// Whether there may be more that match.
    pub(crate) has_more: bool,
    /// Give it back as `cursor` to go on; null at the end.
    pub(crate) next_cursor: Option<String>,
}

/// A queue.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Queue)]
pub(crate) struct QueueView {
    /// Its name.
    pub(crate) name: String,
    /// Whether an operator paused it.
    pub(crate) paused: bool,
    /// Over how many slots of the dispatch it is split.
    pub(crate) slots: u16,
    /// Jobs that a worker could start now; null when the dispatch cannot be reached, as below.
    pub(crate) ready: Option<u64>,
    /// Jobs that are due later: scheduled ones and retries.
    pub(crate) delayed: Option<u64>,
    /// Jobs that run.
    pub(crate) running: Option<u64>,
    /// How long ago the oldest job that could start now was accepted; null also when there is none.
    pub(crate) oldest_age_seconds: Option<f64>,
}

/// A page of queues, by name.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct QueuePage {
    /// The queues.
    pub(crate) data: Vec<QueueView>,
    /// Whether more follow.
    pub(crate) has_more: bool,
    /// Give it back as `cursor` to read on; null at the end.
    pub(crate) next_cursor: Option<String>,
}

/// Writes stored JSON as it is. Bytes that are no JSON (written by other hands) appear as a string instead of spoiling
/// the whole answer.
pub(crate) fn raw_json<S: Serializer>(bytes: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
    match serde_json::from_slice::<&RawValue>(bytes) {
        Ok(raw) => raw.serialize(serializer),
        Err(_) => serializer.serialize_str(&String::from_utf8_lossy(bytes)),
    }
}

/// No JSON is empty: what is, was erased.
fn payload_json<S: Serializer>(bytes: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
    if bytes.is_empty() { serializer.serialize_none() } else { raw_json(bytes, serializer) }
}

fn optional_raw_json<S: Serializer>(bytes: &Option<&Bytes>, serializer: S) -> Result<S::Ok, S::Error> {
    match bytes {
        Some(bytes) => raw_json(bytes, serializer),
        None => serializer.serialize_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use haul_core::{IdMint, Kind, Priority, Queue, Tenant};
    use std::sync::Arc;

    #[test]
    fn an_erased_payload_is_null_and_says_so() {
        let id = IdMint::new(Arc::default()).next();
        let job = Job {
            id,
            tenant: Tenant::default(),
            queue: Queue::default(),
            kind: Kind::new("echo").unwrap(),
            priority: Priority::default(),
            run_at: id.created_at(),
            payload: Bytes::from_static(b"null"),
            options: haul_core::JobOptions::shared_default(),
        };
        let shown = |job: &Job| serde_json::to_value(JobView::accepted(job)).unwrap();
        assert_eq!((&shown(&job)["payload"], shown(&job).get("payload_erased")), (&serde_json::Value::Null, None));
        let erased = shown(&Job { payload: Bytes::new(), ..job });
        assert_eq!(
            (&erased["payload"], &erased["payload_erased"]),
            (&serde_json::Value::Null, &serde_json::json!(true))
        );
    }
}
