//! One attempt: from a loaded job to how it ended.
//!
//! A handler runs in a task of its own, so that one that never yields holds up nobody else, and a panic ends only its own
//! attempt. It is told to stop through its token (out of time, job cancelled, lease lost, worker draining), has a moment
//! to end by itself, and is then dropped. A handler that never reaches an `await` cannot be dropped: it keeps its slot,
//! and counts as stuck once it is a minute late.

use crate::{
    claims::{ClaimId, Claims, Route},
    context::JobContext,
    error::HandlerError,
    pulse::Pulse,
    registry::{Done, House, Registered},
    stop::{Stop, Why},
    tasks::spawn,
};
use futures::future::BoxFuture;
use haul_core::{
    Job, JobError, Span, Timestamp,
    ledger::BatchRecorded,
    policy::{self, AttemptEnd, Retry},
    trace::{self, Described, OpenSpan, SpanKind, TraceContext},
};
use std::{any::Any, sync::Arc, time::Duration};
use tokio::{
    pin, select,
    task::JoinError,
    time::{Instant, sleep, timeout},
};
use tokio_util::task::AbortOnDropHandle;
use tracing::{Instrument, field};

/// How long a handler that was told to stop may take to end by itself.
pub(crate) const STOP_GRACE: Duration = Duration::from_secs(1);

/// A job whose attempt may start.
pub(crate) struct Start {
    pub(crate) claim: ClaimId,
    pub(crate) route: Arc<Route>,
    pub(crate) job: Job,
    pub(crate) attempt: u32,
    /// How many attempts have crashed their process.
    pub(crate) crashes: u32,
    pub(crate) due: Timestamp,
}

/// An attempt that has ended.
pub(crate) struct Ended {
    pub(crate) claim: ClaimId,
    pub(crate) route: Arc<Route>,
    pub(crate) context: JobContext,
    /// How many attempts before this one have crashed their process.
    pub(crate) crashes: u32,
    pub(crate) end: End,
}

/// How an attempt ended, as the recorder needs it.
pub(crate) enum End {
    /// The policy decides what it means.
    Attempt(AttemptEnd),
    /// The handler's own transaction has recorded the success.
    Recorded(BatchRecorded),
    /// The job has an outcome already.
    SettledElsewhere,
    /// The lease was lost: there is nothing that this worker may say about it.
    LeaseLost,
}

/// Runs one attempt. `None` when its claim was given back before it could start.
pub(crate) async fn run(start: Start, claims: &Claims, house: Arc<House>) -> Option<Ended> {
    let Start { claim, route, job, attempt, crashes, due } = start;
    let now = house.mint.clock().now();
    let allowed = policy::time_allowed(&job, now);
    let stop = Stop::default();
    if !claims.start(claim, allowed, &stop) {
        return None;
    }
    route.meters.wait_seconds.record(now.since(due.max(job.created_at())));
    let began = Instant::now();
    let context = JobContext::new(job, attempt, stop.token().clone(), house);
    let (registered, handled, told) = (route.registered.clone(), context.clone(), stop.clone());
    let supervised = async move {
        tracing::debug!(?allowed, "a handler begins");
        let pulse = handled.house().pulse.clone();
        let result = supervise(registered.handler.run(handled), &pulse, &told, allowed).await;
        tell_end(began, result.as_ref());
        result
    };
    let traced = OpenSpan::begin(context.job().options.trace, SpanKind::Consumer);
    let place = traced.as_ref().map(OpenSpan::context);
    let supervised = trace::within(place, supervised).instrument(log_span(&context, place));
    let result = match AbortOnDropHandle::new(spawn(supervised)).await {
        Ok(result) => result,
        Err(error) => Some(Err(died(error))),
    };
    route.meters.run_seconds.record(began.elapsed());
    let end = judge(result, stop.told(), context.job(), allowed);
    if let Some(traced) = traced {
        traced.end(|| describe(&context, &end));
    }
    Some(Ended { claim, route, context, crashes, end })
}

/// Names the job in every line that is logged within. Of the highest level, so that it does whatever is let through.
fn log_span(context: &JobContext, place: Option<TraceContext>) -> tracing::Span {
    let job = context.job();
    let span = tracing::error_span!(
        "attempt",
        job_id = %job.id,
        kind = job.kind.as_str(),
        queue = job.queue.as_str(),
        attempt = context.attempt(),
        trace_id = field::Empty,
    );
    if let Some(place) = place
        && !span.is_disabled()
    {
        span.record("trace_id", place.trace_id());
    }
    span
}

/// Says in the log that a handler has ended; not why it failed: whoever records that says so.
fn tell_end(began: Instant, result: Option<&Result<Done, HandlerError>>) {
    let end = match result {
        Some(Ok(_)) => "succeeded",
        Some(Err(_)) => "failed",
        None => "stopped",
    };
    tracing::debug!(took = ?began.elapsed(), end, "a handler has ended");
}

/// What is told about the span of an attempt. Whether a failure is the job's end is decided only later.
pub(crate) fn describe(context: &JobContext, end: &End) -> Described {
    let job = context.job();
    let outcome = match end {
        End::Attempt(AttemptEnd::Succeeded(_)) | End::Recorded(_) => "succeeded",
        End::Attempt(AttemptEnd::Failed(..)) => "failed",
        End::Attempt(AttemptEnd::Crashed(_)) => "crashed",
        End::Attempt(AttemptEnd::Deferred(_)) => "deferred",
        End::Attempt(AttemptEnd::Released) => "released",
        End::SettledElsewhere => "settled_elsewhere",
        End::LeaseLost => "lease_lost",
    };
    let attributes = vec![
        ("messaging.system", "haul".into()),
        ("messaging.operation.type", "process".into()),
        ("messaging.operation.name", "attempt".into()),
        ("messaging.destination.name", job.queue.to_string().into()),
        ("messaging.message.id", job.id.to_string().into()),
        ("haul.kind", job.kind.to_string().into()),
        ("haul.attempt", context.attempt().into()),
        ("haul.outcome", outcome.into()),
    ];
    let is_error = matches!(end, End::Attempt(AttemptEnd::Failed(..) | AttemptEnd::Crashed(_)));
    Described { name: format!("attempt {}", job.kind), error: is_error.then(|| outcome.into()), attributes }
}

/// Runs a handler where somebody else supervises it.
pub(crate) async fn handle(registered: Arc<Registered>, context: JobContext) -> Result<Done, HandlerError> {
    // The worker has put the place of the attempt there.
    let place = context.job().options.trace;
    let span = log_span(&context, place);
    let handled = async move {
        tracing::debug!("a handler begins, in a process of its own");
        let (pulse, began) = (context.house().pulse.clone(), Instant::now());
        let result = pulse.gate(registered.handler.run(context)).await;
        tell_end(began, Some(&result));
        result
    };
    let handled = trace::within(place, handled).instrument(span);
    AbortOnDropHandle::new(spawn(handled)).await.unwrap_or_else(|error| Err(died(error)))
}

/// Waits until an attempt has ended, or until a moment after it was told to stop: then `None`.
pub(crate) async fn supervise(
    running: BoxFuture<'_, Result<Done, HandlerError>>,
    pulse: &Arc<Pulse>,
    stop: &Stop,
    allowed: Duration,
) -> Option<Result<Done, HandlerError>> {
    let mut running = pulse.gate(running);
    let overrun = sleep(allowed);
    pin!(overrun);
    select! {
        biased;
        // First, so that a handler that overslept its lease is not polled once more.
        () = stop.token().cancelled() => {}
        result = &mut running => return Some(result),
        () = overrun => stop.tell(Why::TimedOut),
    }
    if stop.told() == Some(Why::Overslept) {
        return None;
    }
    timeout(STOP_GRACE, running).await.ok()
}

/// What the end of an attempt means that was, or was not, told to stop.
pub(crate) fn judge(
    result: Option<Result<Done, HandlerError>>,
    told: Option<Why>,
    job: &Job,
    allowed: Duration,
) -> End {
    match (result, told) {
        // What succeeded has succeeded, whatever it was told: the first outcome that is committed stays.
        (Some(Ok(Done::Result(result))), _) => End::Attempt(AttemptEnd::Succeeded(result)),
        (Some(Ok(Done::Recorded(recorded))), _) => End::Recorded(recorded),
        (Some(Err(error)), None) => End::Attempt(error.into_end()),
        (_, Some(Why::TimedOut)) => End::Attempt(out_of_time(job, allowed)),
        (_, Some(Why::Settled)) => End::SettledElsewhere,
        (_, Some(Why::LeaseLost | Why::Overslept)) => End::LeaseLost,
        (_, Some(Why::Draining)) | (None, None) => End::Attempt(AttemptEnd::Released),
    }
}

fn out_of_time(job: &Job, allowed: Duration) -> AttemptEnd {
    match job.options.deadline {
        Some(deadline) if allowed < job.options.timeout.as_duration() => {
            let error = JobError::new(format!("its deadline {deadline} passed before it could finish"));
            AttemptEnd::Failed(error, Retry::Never)
        }
        _ => {
            let timeout: Span = job.options.timeout;
            AttemptEnd::Failed(JobError::new(format!("the handler took longer than its {timeout}")), Retry::Policy)
        }
    }
}

/// A handler's task that ended without a result: it panicked, or the runtime is going away.
fn died(error: JoinError) -> HandlerError {
    match error.try_into_panic() {
        Ok(panic) => HandlerError::retry(format!("the handler panicked: {}", panic_text(&*panic))),
        Err(_) => HandlerError::defer(Duration::ZERO),
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    if let Some(text) = panic.downcast_ref::<&str>() {
        text
    } else if let Some(text) = panic.downcast_ref::<String>() {
        text
    } else {
        "without a message"
    }
}
