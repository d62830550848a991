//! Traces: which request a job came from, and what was called on its behalf.
//!
//! A [`TraceContext`] is what W3C Trace Context calls `traceparent`. It comes in with a request, stays with the jobs that
//! the request makes ([`JobOptions::trace`](crate::JobOptions::trace)), and goes out with each call to a third party, with
//! a new span id at every step. Within a process it travels beside the code, in the task ([`within`], [`current`]): what a
//! handler spawns on its own is outside of it. `tracestate` is not carried.
//!
//! Spans are told to whoever exports them ([`export_to`]); where nobody does, a step costs two ids and no more, and what
//! has no trace costs nothing. This module sends nothing.

mod span;

pub use span::{Described, Ended, Exporter, OpenSpan, SpanKind, Value, export_to, http_method, http_verb};

use serde::{Deserialize, Serialize};
use std::{fmt, future::Future, str::FromStr};
use uuid::Uuid;

/// The header that carries a trace.
pub const TRACEPARENT: &str = "traceparent";

/// Recorded by whoever has begun the trace.
const SAMPLED: u8 = 0b01;
/// The flags that are known: sampled, and that the trace id is random.
const KNOWN_FLAGS: u8 = 0b11;
/// Characters of version 00.
const LEN: usize = 55;

tokio::task_local! {
    static CURRENT: TraceContext;
}

/// A place in a trace: the trace's id, and the id of the span that comes before.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TraceContext {
    trace_id: u128,
    span_id: u64,
    flags: u8,
}

/// Why a text is no `traceparent`. It is not told in which way: a trace that is malformed is ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is no traceparent as W3C Trace Context has it")]
pub struct TraceError;

impl TraceContext {
    /// The first place of a new trace.
    pub fn fresh() -> Self {
        Self { trace_id: Uuid::new_v4().as_u128(), span_id: span_id(), flags: SAMPLED }
    }

    /// The next place in the same trace.
    #[must_use]
    pub fn child(self) -> Self {
        Self { span_id: span_id(), ..self }
    }

    /// Whether its beginner records it; then we do, too.
    pub fn is_sampled(self) -> bool {
        self.flags & SAMPLED != 0
    }
    /// 32 hexadecimal digits.
    pub fn trace_id(self) -> String {
        format!("{:032x}", self.trace_id)
    }
    /// 16 hexadecimal digits.
    pub fn span_id(self) -> String {
        format!("{:016x}", self.span_id)
    }
    /// The ids of trace and span, as numbers.
    pub fn ids(self) -> (u128, u64) {
        (self.trace_id, self.span_id)
    }
}

/// The random half of a UUIDv4: never 0, as its variant bits are not.
fn span_id() -> u64 {
    Uuid::new_v4().as_u64_pair().1
}

impl FromStr for TraceContext {
    type Err = TraceError;

    /// Reads what W3C Trace Context allows: version 00 exactly, later ones by their beginning.
    fn from_str(text: &str) -> Result<Self, TraceError> {
        let bytes = text.as_bytes();
        let is_dashed = |at: &usize| bytes[*at] == b'-';
        if !text.is_ascii() || bytes.len() < LEN || ![2, 35, 52].iter().all(is_dashed) {
            return Err(TraceError);
        }
        let (version, flags) = (lower_hex(&text[..2])?, lower_hex(&text[53..LEN])?);
        let is_whole = match version {
            0 => bytes.len() == LEN,
            0xff => false,
            _ => bytes.get(LEN).is_none_or(|byte| *byte == b'-'),
        };
        let (trace_id, span_id) = (lower_hex(&text[3..35])?, lower_hex(&text[36..52])?);
        if !is_whole || trace_id == 0 || span_id == 0 {
            return Err(TraceError);
        }
        let span_id = u64::try_from(span_id).map_err(|_| TraceError)?;
        let flags = u8::try_from(flags).map_err(|_| TraceError)? & KNOWN_FLAGS;
        Ok(Self { trace_id, span_id, flags })
    }
}

/// `from_str_radix` would take capitals and a sign.
fn lower_hex(text: &str) -> Result<u128, TraceError> {
    if !text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return Err(TraceError);
    }
    u128::from_str_radix(text, 16).map_err(|_| TraceError)
}

/// As `traceparent` is written.
impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace_id, self.span_id, self.flags)
    }
}
impl fmt::Debug for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
impl From<TraceContext> for String {
    fn from(trace: TraceContext) -> Self {
        trace.to_string()
    }
}
impl TryFrom<String> for TraceContext {
    type Error = TraceError;
    fn try_from(text: String) -> Result<Self, TraceError> {
        text.parse()
    }
}

/// The trace that this task works for.
pub fn current() -> Option<TraceContext> {
    CURRENT.try_with(|trace| *trace).ok()
}

/// Does the work for a trace; without one, just does it.
pub async fn within<F: Future>(trace: Option<TraceContext>, work: F) -> F::Output {
    match trace {
        Some(trace) => CURRENT.scope(trace, work).await,
        None => work.await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIVEN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_traceparent_is_read_and_written_as_the_standard_says() {
        let trace: TraceContext = GIVEN.parse().unwrap();
        assert_eq!((trace.to_string().as_str(), trace.is_sampled()), (GIVEN, true));
        assert_eq!(trace.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
        let later = format!("cc{}-what-the-future-will-be-like", &GIVEN[2..]);
        assert_eq!(later.parse(), Ok(trace), "a later version is read by its beginning");
        let flagged = format!("{}fe", &GIVEN[..53]);
        assert_eq!(flagged.parse::<TraceContext>().unwrap().to_string(), format!("{}02", &GIVEN[..53]));
    }

    #[test]
    fn what_is_malformed_is_no_trace() {
        let zeros = "0".repeat(32);
        for text in [
            String::new(),
            GIVEN[..54].to_owned(),
            format!("{GIVEN}-more"),
            format!("{GIVEN}0"),
            format!("01{}.more", &GIVEN[2..]),
            format!("ff{}", &GIVEN[2..]),
            GIVEN.to_uppercase(),
            GIVEN.replace("4bf9", "+bf9"),
            GIVEN.replace("4bf9", "é0"),
            GIVEN.replace('-', "_"),
            format!("00-{zeros}-00f067aa0ba902b7-01"),
            format!("00-4bf92f3577b34da6a3ce929d0e0e4736-{}-01", &zeros[..16]),
        ] {
            assert_eq!(text.parse::<TraceContext>(), Err(TraceError), "{text}");
        }
    }

    #[test]
    fn a_child_is_of_the_same_trace_and_has_an_id_of_its_own() {
        let trace: TraceContext = GIVEN.parse().unwrap();
        let child = trace.child();
        assert_eq!((child.trace_id(), child.is_sampled()), (trace.trace_id(), true));
        assert_ne!(child.span_id(), trace.span_id());
    }

    #[tokio::test]
    async fn work_knows_its_trace_and_other_work_none() {
        let trace = GIVEN.parse().ok();
        assert_eq!(within(trace, async { current() }).await, trace);
        assert_eq!(within(None, async { current() }).await, None);
    }
}
