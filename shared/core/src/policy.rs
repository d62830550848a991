//! What the end of an attempt means for its job. Pure: no clock, no randomness, no I/O.
//!
//! Backoff is exponential with full jitter (Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015).

use crate::{job::Job, limits::CRASHES_MAX, outcome::JobError, span::Span, time::Timestamp};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// When and how often a job is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RetryPolicy {
    /// Attempts in all, the first one included.
    pub max_attempts: u16,
    /// The upper bound of the first pause; doubled after each failure.
    pub base: Span,
    /// The longest pause.
    pub cap: Span,
    /// No retry starts later than this after the job's `run_at`.
    pub max_age: Span,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_attempts: 20,
            base: Span::from_secs(1),
            cap: Span::from_secs(3_600),
            max_age: Span::from_secs(7 * 24 * 3_600),
        }
    }
}

impl RetryPolicy {
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// The pause after the given attempt (from 1). `jitter` lies in `0.0..1.0`.
    pub fn backoff(&self, attempt: u32, jitter: f64) -> Duration {
        let doublings = attempt.saturating_sub(1).min(40);
        let bound_ms = self.base.as_ms().saturating_mul(1 << doublings).min(self.cap.as_ms());
        Duration::from_millis(bound_ms).mul_f64(jitter.clamp(0.0, 1.0))
    }
}

/// When a failed attempt may be followed by another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// As the job's policy says.
    Policy,
    /// Not before this time (a handler's wish). Clamped to the policy's `max_age`.
    At(Timestamp),
    /// Not before this long from now (a server's `Retry-After`). Clamped to the policy's `cap`.
    After(Duration),
    /// Never: the job is dead.
    Never,
}

/// An attempt that has ended, as far as the decision needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// Which, from 1.
    pub number: u32,
    /// How many of the attempts before it were crashes.
    pub crashes_before: u32,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq)]
pub enum AttemptEnd {
    /// The handler finished; its result is JSON or nothing.
    Succeeded(Option<Bytes>),
    /// The handler failed, panicked or ran out of time.
    Failed(JobError, Retry),
    /// The process that ran the handler died of it, as its parent saw.
    Crashed(JobError),
    /// The handler wants to run later; no attempt is used up.
    Deferred(Duration),
    /// The attempt was interrupted through no fault of its own (drain, lost lease); no attempt is used up.
    Released,
}

/// What to write into the ledger, or to tell the dispatch.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// Outcome `succeeded`.
    Succeed(Option<Bytes>),
    /// Outcome `dead`.
    Die(JobError),
    /// A failure, and when to try again.
    Retry(JobError, Timestamp),
    /// A crash, and when to try again.
    RetryAfterCrash(JobError, Timestamp),
    /// Nothing to record: back into the dispatch, due then.
    Park(Timestamp),
}

/// Decides what the end of an attempt means. `jitter` lies in `0.0..1.0`.
///
/// A crash uses up an attempt as a failure does; the [`CRASHES_MAX`]th is final, whatever the policy allows.
pub fn decide(job: &Job, attempt: Attempt, end: AttemptEnd, now: Timestamp, jitter: f64) -> Verdict {
    match end {
        AttemptEnd::Succeeded(result) => Verdict::Succeed(result),
        AttemptEnd::Released => Verdict::Park(now),
        AttemptEnd::Deferred(pause) => defer(job, pause, now),
        AttemptEnd::Failed(error, retry) => match retry_at(job, attempt.number, retry, now, jitter) {
            Some(retry_at) => Verdict::Retry(error, retry_at),
            None => Verdict::Die(error),
        },
        AttemptEnd::Crashed(error) => {
            let crashes = attempt.crashes_before.saturating_add(1);
            if crashes >= CRASHES_MAX {
                return Verdict::Die(crashed_too_often(crashes, error));
            }
            match retry_at(job, attempt.number, Retry::Policy, now, jitter) {
                Some(retry_at) => Verdict::RetryAfterCrash(error, retry_at),
                None => Verdict::Die(error),
            }
        }
    }
}

/// When the next attempt may start; `None` when this one was the last.
fn retry_at(job: &Job, attempt: u32, retry: Retry, now: Timestamp, jitter: f64) -> Option<Timestamp> {
    let policy = &job.options.retry;
    if attempt >= u32::from(policy.max_attempts) {
        return None;
    }
    let retry_at = match retry {
        Retry::Never => return None,
        Retry::Policy => now.plus(policy.backoff(attempt, jitter)),
        Retry::After(pause) => now.plus(pause.min(policy.cap.as_duration())),
        Retry::At(time) => time.max(now),
    };
    (retry_at <= latest_start(job)).then_some(retry_at)
}

/// A job may be deferred any number of times, but no longer than its policy or its deadline lets it wait: then it has one
/// more look, so that it ends in time, and is dead after that.
fn defer(job: &Job, pause: Duration, now: Timestamp) -> Verdict {
    let latest = latest_start(job);
    if now > latest {
        return Verdict::Die(JobError::new(format!(
            "it was deferred until {latest}, the latest time at which it may start"
        )));
    }
    Verdict::Park(now.plus(pause).min(latest.plus(Duration::from_millis(1))))
}

/// The error of a job that is taken out of circulation, with what the last death was.
fn crashed_too_often(crashes: u32, last: JobError) -> JobError {
    let message = format!("crashed its worker {crashes} times; the last time: {}", last.message);
    JobError { detail: last.detail, ..JobError::new(message) }
}

/// The latest time at which an attempt of this job may start.
fn latest_start(job: &Job) -> Timestamp {
    let begun = job.run_at.max(job.created_at());
    let aged = begun.plus(job.options.retry.max_age.as_duration());
    job.options.deadline.map_or(aged, |deadline| deadline.min(aged))
}

/// The error of a job whose deadline has passed before an attempt could start, if it has.
pub fn past_deadline(job: &Job, now: Timestamp) -> Option<JobError> {
    let deadline = job.options.deadline?;
    (now >= deadline).then(|| JobError::new(format!("its deadline {deadline} passed before it could finish")))
}

/// How long an attempt that starts now may run: the job's timeout, cut at its deadline.
pub fn time_allowed(job: &Job, now: Timestamp) -> Duration {
    let timeout = job.options.timeout.as_duration();
    job.options.deadline.map_or(timeout, |deadline| timeout.min(deadline.since(now)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        id::{IdMint, JobId},
        job::{JobOptions, Priority},
        name::{Kind, Queue, Tenant},
        time::Clock,
    };
    use std::sync::Arc;

    fn job(options: JobOptions) -> Job {
        let id: JobId = IdMint::new(Arc::new(Clock::new())).next();
        Job {
            id,
            tenant: Tenant::default(),
            queue: Queue::default(),
            kind: Kind::new("echo").unwrap(),
            priority: Priority::default(),
            run_at: id.created_at(),
            payload: Bytes::from_static(b"{}"),
            options: Arc::new(options),
        }
    }

    fn nth(number: u32) -> Attempt {
        Attempt { number, crashes_before: 0 }
    }

    fn failed(retry: Retry) -> AttemptEnd {
        AttemptEnd::Failed(JobError::new("no"), retry)
    }

    #[test]
    fn pauses_double_up_to_the_cap() {
        let policy = RetryPolicy::default();
        assert_eq!(policy.backoff(1, 1.0), Duration::from_secs(1));
        assert_eq!(policy.backoff(4, 1.0), Duration::from_secs(8));
        assert_eq!(policy.backoff(4, 0.5), Duration::from_secs(4));
        assert_eq!(policy.backoff(1_000, 1.0), Duration::from_secs(3_600));
    }

    #[test]
    fn the_last_attempt_and_never_are_final() {
        let job = job(JobOptions::default());
        let now = job.created_at();
        assert!(matches!(decide(&job, nth(20), failed(Retry::Policy), now, 0.5), Verdict::Die(_)));
        assert!(matches!(decide(&job, nth(1), failed(Retry::Never), now, 0.5), Verdict::Die(_)));
        assert!(matches!(decide(&job, nth(19), failed(Retry::Policy), now, 0.5), Verdict::Retry(..)));
    }

    #[test]
    fn a_retry_that_would_start_after_the_deadline_is_final() {
        let deadline = Timestamp::from_ms(job(JobOptions::default()).created_at().as_ms() + 10_000);
        let job = job(JobOptions { deadline: Some(deadline), ..JobOptions::default() });
        let now = job.created_at();
        assert!(matches!(
            decide(&job, nth(1), failed(Retry::After(Duration::from_secs(60))), now, 0.5),
            Verdict::Die(_)
        ));
        assert!(matches!(decide(&job, nth(1), failed(Retry::Policy), now, 0.5), Verdict::Retry(..)));
        assert!(past_deadline(&job, deadline).is_some());
        assert!(time_allowed(&job, now) <= Duration::from_secs(10));
    }

    #[test]
    fn a_release_uses_up_no_attempt() {
        let job = job(JobOptions::default());
        let now = job.created_at();
        assert_eq!(decide(&job, nth(20), AttemptEnd::Released, now, 0.5), Verdict::Park(now));
    }

    #[test]
    fn a_servers_retry_after_is_clamped_to_the_cap() {
        let job = job(JobOptions::default());
        let now = job.created_at();
        let far = failed(Retry::After(Duration::from_secs(1_000_000)));
        let Verdict::Retry(_, at) = decide(&job, nth(1), far, now, 0.5) else { panic!("no retry") };
        assert_eq!(at, now.plus(Duration::from_secs(3_600)));
    }

    fn killed() -> AttemptEnd {
        AttemptEnd::Crashed(JobError::new("killed by signal 6").with_detail("the last lines"))
    }

    #[test]
    fn a_crash_is_retried_like_a_failure_and_the_third_is_final() {
        let job = job(JobOptions::default());
        let now = job.created_at();
        for (number, crashes_before) in [(1, 0), (2, 1), (19, 1)] {
            let verdict = decide(&job, Attempt { number, crashes_before }, killed(), now, 1.0);
            let pause = job.options.retry.backoff(number, 1.0);
            assert!(matches!(verdict, Verdict::RetryAfterCrash(_, at) if at == now.plus(pause)), "{verdict:?}");
        }
        let third = Attempt { number: 7, crashes_before: 2 };
        let Verdict::Die(error) = decide(&job, third, killed(), now, 0.5) else { panic!("it lives on") };
        assert_eq!(error.message, "crashed its worker 3 times; the last time: killed by signal 6");
        assert_eq!(error.detail.as_deref(), Some("the last lines"));
    }

    #[test]
    fn a_crash_uses_up_an_attempt_and_heeds_the_deadline() {
        let max_attempts = |max_attempts| RetryPolicy { max_attempts, ..RetryPolicy::default() };
        let once = job(JobOptions { retry: max_attempts(1), ..JobOptions::default() });
        let now = once.created_at();
        let Verdict::Die(error) = decide(&once, nth(1), killed(), now, 0.5) else { panic!("it is tried again") };
        assert_eq!(error.message, "killed by signal 6");
        let late = job(JobOptions { deadline: Some(now), ..JobOptions::default() });
        assert!(matches!(decide(&late, nth(1), killed(), now.plus(Duration::from_secs(1)), 0.5), Verdict::Die(_)));
    }

    #[test]
    fn a_job_waits_no_longer_than_its_policy_or_its_deadline_lets_it() {
        let max_age = Span::from_secs(60);
        let aged =
            job(JobOptions { retry: RetryPolicy { max_age, ..RetryPolicy::default() }, ..JobOptions::default() });
        let ends_at = aged.created_at().plus(max_age.as_duration());
        let late = job(JobOptions { deadline: Some(aged.created_at()), ..JobOptions::default() });
        for (job, ends_at) in [(&aged, ends_at), (&late, aged.created_at())] {
            let defer =
                |seconds, now| decide(job, nth(1), AttemptEnd::Deferred(Duration::from_secs(seconds)), now, 0.5);
            let last = ends_at.plus(Duration::from_millis(1));
            assert_eq!(defer(3_600, ends_at), Verdict::Park(last), "one more look, and not much too late");
            let Verdict::Die(error) = defer(1, last) else { panic!("it waits on") };
            assert!(error.message.starts_with("it was deferred until"), "{error:?}");
        }
        let now = aged.created_at();
        let deferred = decide(&aged, nth(1), AttemptEnd::Deferred(Duration::from_secs(1)), now, 0.5);
        assert_eq!(deferred, Verdict::Park(now.plus(Duration::from_secs(1))));
    }

    #[test]
    fn failures_between_crashes_do_not_count_as_crashes() {
        let job = job(JobOptions::default());
        let tenth = Attempt { number: 10, crashes_before: 2 };
        let now = job.created_at();
        assert!(matches!(decide(&job, tenth, failed(Retry::Policy), now, 0.5), Verdict::Retry(..)));
    }
}
