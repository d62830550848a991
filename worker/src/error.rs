//! How a handler says what it wants when it does not succeed.
//!
//! Any `std::error::Error` becomes "try again, as the job's policy says" through `?`. Everything else is said by name:
//! [`HandlerError::do_not_retry`], [`HandlerError::retry_at`], [`HandlerError::retry_after`], [`HandlerError::defer`].

use haul_core::{
    JobError, Timestamp,
    policy::{AttemptEnd, Retry},
};
use std::{error::Error, fmt, time::Duration};

/// Causes of an error that are kept in its detail.
const CAUSES_MAX: usize = 16;

/// Why an attempt did not succeed, and what is to follow.
///
/// It is deliberately no `std::error::Error` itself: only so can every such error be turned into it by `?`.
pub struct HandlerError(Wish);

enum Wish {
    Fail(JobError, Retry),
    Defer(Duration),
    Crash(JobError),
}

impl HandlerError {
    /// Tries again as the job's retry policy says. Takes an error or a text.
    pub fn retry(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(Wish::Fail(describe(&*error.into()), Retry::Policy))
    }

    /// The job is dead: another attempt would fail in the same way.
    pub fn do_not_retry(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(Wish::Fail(describe(&*error.into()), Retry::Never))
    }

    /// Tries again, not before the given time. The job is dead when that is later than its policy or deadline allows.
    pub fn retry_at(time: Timestamp, error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(Wish::Fail(describe(&*error.into()), Retry::At(time)))
    }

    /// Tries again, not before this long from now, cut to the policy's longest pause.
    pub fn retry_after(pause: Duration, error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(Wish::Fail(describe(&*error.into()), Retry::After(pause)))
    }

    /// Runs the job later without using up an attempt: nothing went wrong, it is only too early.
    pub fn defer(pause: Duration) -> Self {
        Self(Wish::Defer(pause))
    }

    /// Adds detail, such as an answer's body, to what is recorded. Replaces the error's causes.
    #[must_use]
    pub fn with_detail(self, detail: impl AsRef<str>) -> Self {
        match self.0 {
            Wish::Fail(error, retry) => Self(Wish::Fail(error.with_detail(detail), retry)),
            Wish::Defer(_) | Wish::Crash(_) => self,
        }
    }

    /// What another process has told of its handler.
    pub(crate) fn failed(error: JobError, retry: Retry) -> Self {
        Self(Wish::Fail(error, retry))
    }

    /// The handler's process has died of it.
    pub(crate) fn crash(error: JobError) -> Self {
        Self(Wish::Crash(error))
    }

    pub(crate) fn is_crash(&self) -> bool {
        matches!(self.0, Wish::Crash(_))
    }

    pub(crate) fn into_end(self) -> AttemptEnd {
        match self.0 {
            Wish::Fail(error, retry) => AttemptEnd::Failed(error, retry),
            Wish::Defer(pause) => AttemptEnd::Deferred(pause),
            Wish::Crash(error) => AttemptEnd::Crashed(error),
        }
    }
}

impl<E: Error + Send + Sync + 'static> From<E> for HandlerError {
    fn from(error: E) -> Self {
        Self(Wish::Fail(describe(&error), Retry::Policy))
    }
}

impl fmt::Display for HandlerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Wish::Fail(error, _) | Wish::Crash(error) => f.write_str(&error.message),
            Wish::Defer(pause) => write!(f, "deferred by {pause:?}"),
        }
    }
}

impl fmt::Debug for HandlerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Wish::Fail(error, retry) => f.debug_tuple("HandlerError").field(error).field(retry).finish(),
            Wish::Defer(pause) => f.debug_tuple("Deferred").field(pause).finish(),
            Wish::Crash(error) => f.debug_tuple("Crashed").field(error).finish(),
        }
    }
}

/// The error's own words as the message, its causes as the detail.
fn describe(error: &(dyn Error + 'static)) -> JobError {
    let mut causes = String::new();
    let mut next = error.source();
    for _ in 0..CAUSES_MAX {
        let Some(cause) = next else { break };
        if !causes.is_empty() {
            causes.push('\n');
        }
        causes.push_str("caused by: ");
        causes.push_str(&cause.to_string());
        next = cause.source();
    }
    let described = JobError::new(error.to_string());
    if causes.is_empty() { described } else { described.with_detail(causes) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the mail could not be sent")]
    struct Outer(#[source] std::num::ParseIntError);

    fn failing() -> Result<u8, HandlerError> {
        let cause = "x".parse::<u8>().map_err(Outer)?;
        Ok(cause)
    }

    #[test]
    fn any_error_becomes_a_retry_with_its_causes_as_detail() {
        let AttemptEnd::Failed(error, retry) = failing().unwrap_err().into_end() else { panic!("no failure") };
        assert_eq!((error.message.as_str(), retry), ("the mail could not be sent", Retry::Policy));
        assert_eq!(error.detail.as_deref(), Some("caused by: invalid digit found in string"));
    }

    #[test]
    fn texts_are_errors_too() {
        let end = HandlerError::do_not_retry("no such order").into_end();
        assert_eq!(end, AttemptEnd::Failed(JobError::new("no such order"), Retry::Never));
        assert_eq!(
            HandlerError::defer(Duration::from_secs(3)).into_end(),
            AttemptEnd::Deferred(Duration::from_secs(3))
        );
    }
}
