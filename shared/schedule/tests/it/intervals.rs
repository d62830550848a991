//! Intervals: aligned to the epoch, whatever they are looked at from.

use crate::{after, at};
use haul_core::Span;
use haul_schedule::{Interval, ScheduleSpec, TickName};

#[test]
fn ticks_are_multiples_of_the_interval_since_1970() {
    for (every, from, expected) in [
        ("1s", "2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z"),
        ("90s", "2026-01-01T00:00:00Z", "2026-01-01T00:01:30Z"),
        ("90s", "2026-01-01T00:01:29Z", "2026-01-01T00:01:30Z"),
        ("90s", "2026-01-01T00:01:30Z", "2026-01-01T00:03:00Z"),
        ("7s", "1970-01-01T00:00:00Z", "1970-01-01T00:00:07Z"),
        ("1h", "2026-03-29T00:59:59Z", "2026-03-29T01:00:00Z"),
        ("1day", "2026-03-29T00:00:00Z", "2026-03-30T00:00:00Z"),
        ("1h 30m", "2026-01-01T00:00:00Z", "2026-01-01T01:30:00Z"),
        ("7days", "2026-01-01T00:00:00Z", "2026-01-08T00:00:00Z"),
        ("366days", "2026-01-01T00:00:00Z", "2026-02-12T00:00:00Z"),
    ] {
        let schedule = ScheduleSpec::every(every.parse().unwrap()).validate().unwrap();
        let tick = schedule.next(&after(from)).unwrap();
        assert_eq!((tick.at, tick.name), (at(expected), after(expected)), "{every} from {from}");
    }
}

#[test]
fn ticks_are_as_far_apart_as_the_interval_says() {
    let schedule = ScheduleSpec::every("90s".parse().unwrap()).validate().unwrap();
    let ticks: Vec<_> = schedule.ticks(&after("2026-11-01T00:00:00Z")).take(2_000).collect();
    assert!(ticks.windows(2).all(|pair| pair[1].at.as_ms() - pair[0].at.as_ms() == 90_000));
    assert_eq!(ticks[0].name.to_string(), "2026-11-01T00:01:30Z");
}

#[test]
fn what_is_too_short_too_long_or_no_whole_second_is_refused() {
    for ms in [0, 1, 999, 1_001, 1_500, 366 * 86_400_000 + 1_000] {
        let error = Interval::new(Span::from_ms(ms)).unwrap_err();
        assert_eq!(error.to_string(), "must be whole seconds, from \"1s\" to \"366days\"", "{ms}");
    }
}

#[test]
fn ticks_end_with_the_year_2100() {
    let schedule = ScheduleSpec::every("1h".parse().unwrap()).validate().unwrap();
    assert!(schedule.next(&after("2100-12-31T21:30:00Z")).is_some());
    assert_eq!(schedule.next(&after("2100-12-31T23:00:00Z")), None);
    let far = TickName::of_instant(haul_core::Timestamp::from_ms(i64::MAX));
    assert_eq!(schedule.next(&far), None);
}
