//! What a wall clock's time means in a zone: it comes once, twice, or not at all.

use chrono::{DateTime, LocalResult, NaiveDateTime, Offset, TimeDelta, TimeZone, Utc};
use chrono_tz::{GapInfo, Tz};
use haul_core::Timestamp;
use std::ops::Range;

/// What a nominal time is in a zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reading {
    /// It comes once.
    Once(Timestamp),
    /// Clocks were set forward over it.
    Gap {
        /// The nominal time at which clocks go on.
        end: NaiveDateTime,
        /// When that is.
        at: Timestamp,
    },
    /// Clocks were set back over it.
    Twice {
        /// When it comes first.
        first: Timestamp,
        /// When it comes again.
        second: Timestamp,
        /// The nominal times that come twice with it.
        fold: Range<NaiveDateTime>,
    },
}

impl Reading {
    /// When it is: the later one for a time that comes twice if `fold` is set; the end of a gap.
    pub(crate) fn at(&self, fold: bool) -> Timestamp {
        match *self {
            Self::Once(at) | Self::Gap { at, .. } => at,
            Self::Twice { second, .. } if fold => second,
            Self::Twice { first, .. } => first,
        }
    }
}

/// What a wall clock in `zone` shows at `at`, in whole seconds.
pub(crate) fn wall(zone: Tz, at: Timestamp) -> NaiveDateTime {
    let utc = DateTime::from_timestamp_secs(at.as_ms().div_euclid(1_000)).unwrap_or_default();
    zone.from_utc_datetime(&utc.naive_utc()).naive_local()
}

/// What the nominal time `local` is in `zone`.
pub(crate) fn read(zone: Tz, local: NaiveDateTime) -> Reading {
    match zone.from_local_datetime(&local) {
        LocalResult::Single(time) => Reading::Once(time.to_utc().into()),
        LocalResult::Ambiguous(first, second) => Reading::Twice {
            first: first.to_utc().into(),
            second: second.to_utc().into(),
            fold: fold(zone, first.to_utc(), second.to_utc()),
        },
        LocalResult::None => match GapInfo::new(&local, &zone).and_then(|gap| gap.end) {
            Some(end) => Reading::Gap { end: end.naive_local(), at: end.to_utc().into() },
            // The data ends inside a gap, which no published zone does.
            None => Reading::Once(local.and_utc().into()),
        },
    }
}

/// The nominal times that come twice, given when one of them does: clocks were set back somewhere in between.
fn fold(zone: Tz, first: DateTime<Utc>, second: DateTime<Utc>) -> Range<NaiveDateTime> {
    let offset = |at: DateTime<Utc>| zone.offset_from_utc_datetime(&at.naive_utc()).fix();
    let (before, after) = (offset(first), offset(second));
    let (mut low, mut high) = (first, second);
    while high - low > TimeDelta::seconds(1) {
        let middle = low + TimeDelta::seconds((high - low).num_seconds() / 2);
        if offset(middle) == before {
            low = middle;
        } else {
            high = middle;
        }
    }
    high.naive_utc() + after..high.naive_utc() + before
}
