//! The days on which clocks are set: one row per zone, expression and policy. The year's reference proves the same at
//! length; these are to be read.

use crate::{after, at, schedule, schedule_with};
use haul_schedule::{Dst, Gap, Repeat, Tick};

fn show(tick: &Tick) -> String {
    let name = tick.name.to_string();
    let (local, rest) = name.split_once('[').expect("a zone");
    let fold = if rest.ends_with("+fold") { "+fold" } else { "" };
    format!("{}{fold} {}", &local[5..16], &tick.at.to_string()[5..16])
}

type Row = (&'static str, &'static str, Option<Dst>, &'static str, &'static [&'static str]);

const fn dst(gap: Gap, overlap: Repeat) -> Option<Dst> {
    Some(Dst { gap, overlap })
}
const SKIP: Option<Dst> = dst(Gap::Skip, Repeat::First);
const AFTER: Option<Dst> = dst(Gap::RunOnceAfter, Repeat::First);
const SECOND: Option<Dst> = dst(Gap::Skip, Repeat::Second);
const BOTH: Option<Dst> = dst(Gap::Skip, Repeat::Both);

fn check(rows: &[Row]) {
    for (cron, zone, dst, from, expected) in rows {
        let schedule = match dst {
            Some(_) => schedule_with(cron, zone, false, *dst),
            None => schedule(cron, zone),
        };
        let ticks: Vec<String> = schedule.ticks(&after(from)).take(expected.len()).map(|tick| show(&tick)).collect();
        assert_eq!(ticks, *expected, "{cron} {zone} {dst:?}");
    }
}

/// Local name, then instant in UTC.
#[test]
fn a_gap_swallows_its_times_or_runs_them_once() {
    const NEW_YORK: &str = "America/New_York";
    let before = "2026-03-08T06:20:00Z";
    check(&[
        ("30 2 * * *", NEW_YORK, SKIP, before, &["03-09T02:30 03-09T06:30"]),
        ("30 2 * * *", NEW_YORK, AFTER, before, &["03-08T02:30 03-08T07:00", "03-09T02:30 03-09T06:30"]),
        ("30 2 * * *", NEW_YORK, None, before, &["03-08T02:30 03-08T07:00", "03-09T02:30 03-09T06:30"]),
        ("10,40 2 * * *", NEW_YORK, AFTER, before, &["03-08T02:40 03-08T07:00", "03-09T02:10 03-09T06:10"]),
        ("0,30 2,3 * * *", NEW_YORK, AFTER, before, &["03-08T03:00 03-08T07:00", "03-08T03:30 03-08T07:30"]),
        (
            "*/15 * * * *",
            NEW_YORK,
            None,
            before,
            &["03-08T01:30 03-08T06:30", "03-08T01:45 03-08T06:45", "03-08T03:00 03-08T07:00"],
        ),
        (
            "*/15 * * * *",
            NEW_YORK,
            AFTER,
            before,
            &["03-08T01:30 03-08T06:30", "03-08T01:45 03-08T06:45", "03-08T03:00 03-08T07:00"],
        ),
        (
            "10,40 * * * *",
            NEW_YORK,
            AFTER,
            before,
            &["03-08T01:40 03-08T06:40", "03-08T02:40 03-08T07:00", "03-08T03:10 03-08T07:10"],
        ),
        ("10,40 * * * *", NEW_YORK, None, before, &["03-08T01:40 03-08T06:40", "03-08T03:10 03-08T07:10"]),
        (
            "0 */2 * * *",
            NEW_YORK,
            None,
            "2026-03-08T04:50:00Z",
            &["03-08T00:00 03-08T05:00", "03-08T04:00 03-08T08:00"],
        ),
        ("0 2 * * *", "Europe/London", None, "2026-03-29T00:10:00Z", &["03-29T02:00 03-29T01:00"]),
        ("15 1 * * *", "Europe/London", None, "2026-03-29T00:10:00Z", &["03-29T01:15 03-29T01:00"]),
        (
            "15 2 * * *",
            "Australia/Lord_Howe",
            None,
            "2026-10-03T15:00:00Z",
            &["10-04T02:15 10-03T15:30", "10-05T02:15 10-04T15:15"],
        ),
        ("45 2 * * *", "Australia/Lord_Howe", None, "2026-10-03T15:00:00Z", &["10-04T02:45 10-03T15:45"]),
        (
            "0 0 * * *",
            "America/Sao_Paulo",
            None,
            "2018-11-03T12:00:00Z",
            &["11-04T00:00 11-04T03:00", "11-05T00:00 11-05T02:00"],
        ),
        ("0 0 * * *", "America/Sao_Paulo", SKIP, "2018-11-03T12:00:00Z", &["11-05T00:00 11-05T02:00"]),
        (
            "0 12 * * *",
            "Pacific/Apia",
            None,
            "2011-12-30T00:00:00Z",
            &["12-30T12:00 12-30T10:00", "12-31T12:00 12-30T22:00"],
        ),
        ("0 12 * * *", "Pacific/Apia", SKIP, "2011-12-30T00:00:00Z", &["12-31T12:00 12-30T22:00"]),
        (
            "0 * * * *",
            "Pacific/Apia",
            None,
            "2011-12-30T08:30:00Z",
            &["12-29T23:00 12-30T09:00", "12-31T00:00 12-30T10:00"],
        ),
        (
            "30 0 * * 5",
            "Africa/Cairo",
            None,
            "2026-04-23T00:00:00Z",
            &["04-24T00:30 04-23T22:00", "05-01T00:30 04-30T21:30"],
        ),
        (
            "30 1 * * *",
            "Antarctica/Troll",
            None,
            "2026-03-29T00:30:00Z",
            &["03-29T01:30 03-29T01:00", "03-30T01:30 03-29T23:30"],
        ),
    ]);
}

#[test]
fn a_time_that_comes_twice_fires_as_the_policy_says() {
    const NEW_YORK: &str = "America/New_York";
    let before = "2026-11-01T05:20:00Z";
    check(&[
        ("30 1 * * *", NEW_YORK, None, before, &["11-01T01:30 11-01T05:30", "11-02T01:30 11-02T06:30"]),
        ("30 1 * * *", NEW_YORK, SECOND, before, &["11-01T01:30+fold 11-01T06:30", "11-02T01:30 11-02T06:30"]),
        (
            "30 1 * * *",
            NEW_YORK,
            BOTH,
            before,
            &["11-01T01:30 11-01T05:30", "11-01T01:30+fold 11-01T06:30", "11-02T01:30 11-02T06:30"],
        ),
        ("0 2 * * *", NEW_YORK, BOTH, before, &["11-01T02:00 11-01T07:00", "11-02T02:00 11-02T07:00"]),
        ("0 1 * * *", NEW_YORK, SECOND, before, &["11-01T01:00+fold 11-01T06:00", "11-02T01:00 11-02T06:00"]),
        (
            "*/30 * * * *",
            NEW_YORK,
            None,
            before,
            &[
                "11-01T01:30 11-01T05:30",
                "11-01T01:00+fold 11-01T06:00",
                "11-01T01:30+fold 11-01T06:30",
                "11-01T02:00 11-01T07:00",
            ],
        ),
        ("*/30 * * * *", NEW_YORK, SKIP, before, &["11-01T01:30 11-01T05:30", "11-01T02:00 11-01T07:00"]),
        ("*/30 * * * *", NEW_YORK, SECOND, before, &["11-01T01:00+fold 11-01T06:00", "11-01T01:30+fold 11-01T06:30"]),
        // From within the second pass, only what is still to come.
        (
            "*/30 * * * *",
            NEW_YORK,
            None,
            "2026-11-01T06:10:00Z",
            &["11-01T01:30+fold 11-01T06:30", "11-01T02:00 11-01T07:00"],
        ),
        ("*/30 * * * *", NEW_YORK, SKIP, "2026-11-01T06:10:00Z", &["11-01T02:00 11-01T07:00"]),
        // Past the last time of the first pass, with nothing else for half a year.
        (
            "15 1 * 6,11 *",
            NEW_YORK,
            BOTH,
            "2026-11-01T05:50:00Z",
            &["11-01T01:15+fold 11-01T06:15", "11-02T01:15 11-02T06:15"],
        ),
        (
            "15 1 1 6,11 *",
            NEW_YORK,
            BOTH,
            "2026-11-01T05:50:00Z",
            &["11-01T01:15+fold 11-01T06:15", "06-01T01:15 06-01T05:15"],
        ),
        (
            "30 1 * * *",
            "Europe/London",
            None,
            "2026-10-25T00:00:00Z",
            &["10-25T01:30 10-25T00:30", "10-26T01:30 10-26T01:30"],
        ),
        (
            "45 1 * * *",
            "Australia/Lord_Howe",
            BOTH,
            "2026-04-04T14:00:00Z",
            &["04-05T01:45 04-04T14:45", "04-05T01:45+fold 04-04T15:15"],
        ),
        (
            "15 1 * * *",
            "Australia/Lord_Howe",
            BOTH,
            "2026-04-04T14:00:00Z",
            &["04-05T01:15 04-04T14:15", "04-06T01:15 04-05T14:45"],
        ),
        (
            "30 23 * * *",
            "America/Sao_Paulo",
            None,
            "2018-02-17T12:00:00Z",
            &["02-17T23:30 02-18T01:30", "02-18T23:30 02-19T02:30"],
        ),
        ("30 23 * * *", "America/Sao_Paulo", SECOND, "2018-02-17T12:00:00Z", &["02-17T23:30+fold 02-18T02:30"]),
        ("0 12 * * *", "Asia/Kolkata", BOTH, "2026-01-01T00:00:00Z", &["01-01T12:00 01-01T06:30"]),
        ("0 0 * * *", "Asia/Kathmandu", None, "2026-01-01T00:00:00Z", &["01-02T00:00 01-01T18:15"]),
    ]);
}

#[test]
fn zones_know_summer_time_until_the_calendar_ends() {
    // A crate whose data ended in 2037 would say 09:00 here.
    let tick = schedule("0 9 * * *", "Europe/London").next(&after("2099-07-01T00:00:00Z")).unwrap();
    assert_eq!(tick.at, at("2099-07-01T08:00:00Z"));
    assert_eq!(schedule("0 9 * * *", "Europe/London").next(&after("2100-12-31T09:00:00Z")), None);
}
