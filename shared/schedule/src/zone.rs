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

#[cfg(test)]
mod tests {
    use super::*;

    /// Whenever a zone's offset changes, what clocks leave out or repeat is read with the right bounds.
    #[test]
    fn every_zone_is_read_rightly_where_its_clocks_are_set() {
        let (mut gaps, mut folds) = (0, 0);
        for zone in chrono_tz::TZ_VARIANTS.iter().copied() {
            let offset = |at: i64| {
                let utc = DateTime::from_timestamp_secs(at).expect("a time").naive_utc();
                i64::from(zone.offset_from_utc_datetime(&utc).fix().local_minus_utc())
            };
            let local = |seconds: i64| DateTime::from_timestamp_secs(seconds).expect("a time").naive_utc();
            let at = |seconds: i64| Timestamp::from_ms(seconds * 1_000);
            for day in DAYS {
                let (mut low, mut high) = (day * 86_400, day * 86_400 + 86_400);
                let (before, after) = (offset(low), offset(high));
                if before == after {
                    continue;
                }
                while high - low > 1 {
                    let middle = low.midpoint(high);
                    if offset(middle) == before { low = middle } else { high = middle }
                }
                let (start, end) = (high + before.min(after), high + before.max(after));
                for shown in [start, start.midpoint(end), end - 1] {
                    let expected = if after > before {
                        gaps += 1;
                        Reading::Gap { end: local(end), at: at(high) }
                    } else {
                        folds += 1;
                        let fold = local(start)..local(end);
                        Reading::Twice { first: at(shown - before), second: at(shown - after), fold }
                    };
                    assert_eq!(read(zone, local(shown)), expected, "{zone} at {high}");
                }
                for (shown, offset) in [(start - 1, before), (end, after)] {
                    assert_eq!(read(zone, local(shown)), Reading::Once(at(shown - offset)), "{zone} at {high}");
                }
            }
        }
        assert!(gaps > 500 && folds > 500, "{gaps} gaps, {folds} folds");
    }

    /// 2026 and 2027.
    const DAYS: std::ops::Range<i64> = 20_454..20_454 + 730;
}
