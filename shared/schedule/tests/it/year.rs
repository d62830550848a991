//! A simulated year, tick by tick, in zones that set their clocks in every way there is.

use crate::{
    policies,
    reference::{Clock, Definition},
    schedule_with,
};
use chrono::{DateTime, TimeZone, Utc};
use haul_schedule::{Dst, Schedule, TickName};

/// Among them: what follows the clock round, names times that come twice or not at all, or does both in one gap.
const EXPRESSIONS: [&str; 7] = [
    "*/15 0-4 * * *",
    "40 */2 * * *",
    "0 0 * * *",
    "30 1 * * *",
    "0,30 2,3 * * *",
    "45 0-3 1,15 * 0",
    "15 1-2 */2 * 7",
];

pub(crate) fn start_of(year: i32) -> DateTime<Utc> {
    Utc.with_ymd_and_hms(year, 1, 1, 0, 0, 0).single().expect("a year")
}

/// The crate's ticks of `from..to`, in the reference's form.
pub(crate) fn ticks(schedule: &Schedule, from: DateTime<Utc>, to: DateTime<Utc>) -> Vec<(String, String)> {
    let before = TickName::of_instant((from - chrono::TimeDelta::seconds(1)).into());
    let ticks = schedule.ticks(&before).take_while(|tick| tick.at < to.into());
    ticks.map(|tick| (tick.name.to_string(), tick.at.to_string())).collect()
}

/// Every tick of the year, under each policy, by the reference.
pub(crate) fn compare(
    expression: &str,
    clock: &Clock,
    mut subject: impl FnMut(Dst) -> Vec<(String, String)>,
) -> Result<usize, String> {
    let policies: Vec<Dst> = policies().collect();
    let expected = clock.ticks(&Definition::read(expression), &policies);
    let mut compared = 0;
    for (dst, expected) in policies.iter().zip(&expected) {
        let found = subject(*dst);
        if let Some(place) = (0..found.len().max(expected.len())).find(|&n| found.get(n) != expected.get(n)) {
            let (found, expected) = (found.get(place), expected.get(place));
            return Err(format!("{expression} {dst:?}: {found:?} instead of {expected:?}"));
        }
        compared += found.len();
    }
    Ok(compared)
}

fn year(zone: &str, year: i32) {
    let (from, to) = (start_of(year), start_of(year + 1));
    let clock = Clock::watch(zone.parse().expect("a zone"), from, to, 60);
    for expression in EXPRESSIONS {
        let subject = |dst| ticks(&schedule_with(expression, zone, false, Some(dst)), from, to);
        let compared = compare(expression, &clock, subject).unwrap_or_else(|found| panic!("{zone} {year}: {found}"));
        assert!(compared >= 6 * 26, "{zone} {year}: only {compared} ticks of {expression}");
    }
}

/// The year matches the reference tick by tick, under each policy.
macro_rules! years {
    ($($name:ident: $zone:literal $year:literal,)+) => {$(
        #[test]
        fn $name() {
            year($zone, $year);
        }
    )+};
}

years! {
    new_york: "America/New_York" 2026,
    london: "Europe/London" 2026,
    lord_howe_sets_its_clocks_by_half_an_hour: "Australia/Lord_Howe" 2026,
    kolkata_never_sets_them: "Asia/Kolkata" 2026,
    sao_paulo_set_them_at_midnight: "America/Sao_Paulo" 2018,
    sao_paulo: "America/Sao_Paulo" 2026,
    utc: "UTC" 2026,
    apia_left_out_a_day: "Pacific/Apia" 2011,
    casablanca_sets_them_back_for_ramadan: "Africa/Casablanca" 2026,
}
