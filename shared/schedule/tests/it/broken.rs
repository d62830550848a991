//! Schedules that are broken on purpose: the reference must reject each, or it proves nothing.

use crate::{
    reference::Clock,
    schedule_with,
    year::{compare, start_of, ticks},
};
use chrono::{Datelike, NaiveDateTime};
use haul_schedule::{Dst, Gap, Repeat};
use std::sync::OnceLock;

type Ticks = Vec<(String, String)>;

const ZONE: &str = "America/New_York";

/// Runs the year's comparison over what `breaking` makes of the right ticks.
fn rejected(expression: &str, breaking: impl Fn(Dst, Ticks) -> Ticks) -> Result<usize, String> {
    static CLOCK: OnceLock<Clock> = OnceLock::new();
    let (from, to) = (start_of(2026), start_of(2027));
    let clock = CLOCK.get_or_init(|| Clock::watch(ZONE.parse().expect("a zone"), from, to, 60));
    let right = |dst| ticks(&schedule_with(expression, ZONE, false, Some(dst)), from, to);
    compare(expression, clock, |dst| breaking(dst, right(dst)))
}

fn local(name: &str) -> NaiveDateTime {
    name[..19].parse().expect("a nominal time")
}

#[test]
fn the_right_one_passes() {
    for expression in ["0 0 13 * 5", "30 1 * * *", "30 2 * * *", "0,30 2,3 * * *"] {
        rejected(expression, |_, ticks| ticks).unwrap();
    }
}

#[test]
fn day_of_month_and_day_of_week_is_rejected() {
    let both = |name: &str| local(name).day() == 13 && local(name).weekday() == chrono::Weekday::Fri;
    rejected("0 0 13 * 5", |_, ticks| ticks.into_iter().filter(|(name, _)| both(name)).collect()).unwrap_err();
}

#[test]
fn an_ignored_fold_is_rejected() {
    // The second coming carries the first one's name.
    let unnamed = |ticks: Ticks| ticks.into_iter().map(|(name, at)| (name.replace("+fold", ""), at)).collect();
    rejected("30 1 * * *", |_, ticks| unnamed(ticks)).unwrap_err();
    // Or it does not fire, or fires although it should not.
    rejected("30 1 * * *", |_, ticks| ticks.into_iter().filter(|(name, _)| !name.contains("+fold")).collect())
        .unwrap_err();
    let always_both = |dst: Dst| schedule_with("30 1 * * *", ZONE, false, Some(Dst { overlap: Repeat::Both, ..dst }));
    rejected("30 1 * * *", |dst, _| ticks(&always_both(dst), start_of(2026), start_of(2027))).unwrap_err();
}

#[test]
fn a_gap_that_fires_twice_is_rejected() {
    // 02:00 and 02:30 of 8 March do not exist; 03:00 fires by itself, and stands for them.
    let gap = |expression: &str, name: &str| {
        let extra = (format!("{name}[{ZONE}]"), "2026-03-08T07:00:00.000Z".to_owned());
        rejected(expression, |dst, mut ticks| {
            if dst.gap == Gap::RunOnceAfter {
                let place = ticks.partition_point(|(_, at)| *at < extra.1);
                ticks.insert(place, extra.clone());
            }
            ticks
        })
    };
    gap("0,30 2,3 * * *", "2026-03-08T02:30:00").unwrap_err();
    gap("10,40 2 * * *", "2026-03-08T02:10:00").unwrap_err();
}

#[test]
fn a_tick_that_is_lost_late_or_misnamed_is_rejected() {
    rejected("0 0 * * *", |_, mut ticks| {
        ticks.remove(200);
        ticks
    })
    .unwrap_err();
    rejected("0 0 * * *", |_, mut ticks| {
        ticks.pop();
        ticks
    })
    .unwrap_err();
    rejected("0 0 * * *", |_, mut ticks| {
        ticks[300].1 = ticks[301].1.clone();
        ticks
    })
    .unwrap_err();
}
