//! Intervals: `every: "90s"`, counted in UTC from 1970.
//!
//! Being aligned to the epoch, an interval needs no memory of when it was made: every process sees the same ticks, and an
//! edit that changes nothing moves nothing. Ticks are whole seconds apart, and are named by their instant.

use crate::tick::{INSTANT_MS_MAX, Tick, TickName};
use haul_core::{Span, Timestamp};

/// The shortest interval.
pub const INTERVAL_MIN: Span = Span::from_secs(1);
/// The longest interval.
pub const INTERVAL_MAX: Span = Span::from_secs(366 * 24 * 3_600);

/// Why a duration is not an interval.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be whole seconds, from \"1s\" to \"366days\"")]
pub struct IntervalError;

/// A tick every so often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interval {
    ms: i64,
}

impl Interval {
    /// From a duration in whole seconds.
    ///
    /// # Errors
    /// When it is none, or outside of [`INTERVAL_MIN`] and [`INTERVAL_MAX`].
    pub fn new(every: Span) -> Result<Self, IntervalError> {
        let fits = (INTERVAL_MIN..=INTERVAL_MAX).contains(&every) && every.as_ms().is_multiple_of(1_000);
        match i64::try_from(every.as_ms()) {
            Ok(ms) if fits => Ok(Self { ms }),
            _ => Err(IntervalError),
        }
    }

    /// The first tick after `at`. None past the year 2100.
    pub(crate) fn next(self, at: Timestamp) -> Option<Tick> {
        let next_ms = (at.as_ms().div_euclid(self.ms) + 1).checked_mul(self.ms)?;
        let at = Timestamp::from_ms(next_ms);
        (next_ms <= INSTANT_MS_MAX).then(|| Tick { name: TickName::of_instant(at), at })
    }

    /// `ticks` intervals before `at`.
    pub(crate) fn back(self, at: Timestamp, ticks: usize) -> Timestamp {
        let ticks = i64::try_from(ticks).unwrap_or(i64::MAX);
        Timestamp::from_ms(at.as_ms().saturating_sub(self.ms.saturating_mul(ticks)))
    }
}
