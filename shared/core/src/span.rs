//! Durations as people write them: `"30s"`, `"1h 30m"`, `"20ms"`.

use crate::limits::SPAN_MS_MAX;
use serde::{Deserialize, Serialize};
use std::{fmt, time::Duration};

/// A duration in whole milliseconds, written as text with units.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Span(u64);

/// Why a text is not a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpanError {
    /// It does not read as a number with a unit.
    #[error("is not a duration; write for example \"30s\", \"250ms\" or \"1h 30m\"")]
    Syntax,
    /// It is longer than ten years.
    #[error("is longer than ten years")]
    TooLong,
}

impl Span {
    /// From milliseconds.
    pub const fn from_ms(ms: u64) -> Self {
        Self(ms)
    }
    /// From seconds.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(seconds * 1_000)
    }
    /// In milliseconds.
    pub const fn as_ms(self) -> u64 {
        self.0
    }
    /// As a standard duration.
    pub const fn as_duration(self) -> Duration {
        Duration::from_millis(self.0)
    }
}

impl std::str::FromStr for Span {
    type Err = SpanError;
    fn from_str(text: &str) -> Result<Self, SpanError> {
        let duration = humantime::parse_duration(text.trim()).map_err(|_| SpanError::Syntax)?;
        match u64::try_from(duration.as_millis()) {
            Ok(ms) if ms <= SPAN_MS_MAX => Ok(Self(ms)),
            _ => Err(SpanError::TooLong),
        }
    }
}

impl TryFrom<String> for Span {
    type Error = SpanError;
    fn try_from(text: String) -> Result<Self, SpanError> {
        text.parse()
    }
}
impl From<Span> for String {
    fn from(span: Span) -> String {
        span.to_string()
    }
}
impl From<Span> for Duration {
    fn from(span: Span) -> Duration {
        span.as_duration()
    }
}
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_duration(self.as_duration()).fmt(f)
    }
}
impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
