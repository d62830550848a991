//! Names of ticks: one text each, there and back, and the same for processes whose zone data differ.

use crate::{after, at, schedule, schedule_with};
use haul_core::Timestamp;
use haul_schedule::{Dst, Gap, Repeat, TickName, TickNameError};

#[test]
fn a_name_leads_to_its_instant_and_back() {
    for (name, instant) in [
        ("2026-11-01T00:30:00[America/New_York]", "2026-11-01T04:30:00Z"),
        ("2026-11-01T01:30:00[America/New_York]", "2026-11-01T05:30:00Z"),
        ("2026-11-01T01:30:00[America/New_York]+fold", "2026-11-01T06:30:00Z"),
        ("2026-11-01T02:30:00[America/New_York]", "2026-11-01T07:30:00Z"),
        ("2026-03-08T02:30:00[America/New_York]", "2026-03-08T07:00:00Z"),
        ("2026-06-01T12:00:05[Asia/Kolkata]", "2026-06-01T06:30:05Z"),
        ("2026-04-05T01:45:00[Australia/Lord_Howe]+fold", "2026-04-04T15:15:00Z"),
        ("2011-12-30T12:00:00[Pacific/Apia]", "2011-12-30T10:00:00Z"),
        ("2026-01-01T00:00:00[UTC]", "2026-01-01T00:00:00Z"),
        ("2026-01-01T00:00:00[Etc/GMT+5]", "2026-01-01T05:00:00Z"),
        ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
        // A fold that this process does not know of is a plain time to it.
        ("2026-06-01T12:00:00[Europe/London]+fold", "2026-06-01T11:00:00Z"),
    ] {
        let parsed: TickName = name.parse().unwrap();
        assert_eq!(parsed.to_string(), name);
        assert_eq!(parsed.at(), at(instant), "{name}");
        assert_eq!(serde_json::to_string(&parsed).unwrap(), format!("{name:?}"));
        assert_eq!(serde_json::from_str::<TickName>(&format!("{name:?}")).unwrap(), parsed);
    }
}

#[test]
fn a_second_spelling_of_a_name_is_refused() {
    for text in [
        "",
        "Z",
        "2026-11-01",
        "2026-11-01T01:30:00",
        "2026-11-01T01:30Z",
        "2026-11-1T01:30:00Z",
        "2026-11-01 01:30:00Z",
        "2026-11-01T01:30:00z",
        "2026-11-01T01:30:00.5Z",
        "2026-11-01T01:30:00+00:00",
        "2026-11-01T01:30:60Z",
        "2026-11-31T01:30:00Z",
        "2026-11-01T24:00:00Z",
        " 2026-11-01T01:30:00Z",
        "+2026-11-01T01:30:00Z",
        "1969-12-31T23:59:59Z",
        "2101-01-01T00:00:00Z",
        "2026-11-01T01:30:00Z+fold",
        "2026-11-01T01:30:00[UTC",
        "2026-11-01T01:30:00[UTC]fold",
        "2026-11-01T01:30:00[UTC]+FOLD",
        "2026-11-01T01:30:00[UTC]Z",
        "2026-11-01T01:30:00Z[UTC]",
    ] {
        assert_eq!(text.parse::<TickName>(), Err(TickNameError::Syntax), "{text:?}");
    }
    for zone in ["", "Mars/Olympus", "europe/london", "UTC ", "../UTC"] {
        let text = format!("2026-11-01T01:30:00[{zone}]");
        assert_eq!(text.parse::<TickName>(), Err(TickNameError::UnknownZone), "{text:?}");
    }
}

#[test]
fn instants_out_of_the_calendar_are_its_ends() {
    for (ms, name) in [
        (i64::MIN, "1970-01-01T00:00:00Z"),
        (-1, "1970-01-01T00:00:00Z"),
        (1_999, "1970-01-01T00:00:01Z"),
        (i64::MAX, "2100-12-31T23:59:59Z"),
    ] {
        assert_eq!(TickName::of_instant(Timestamp::from_ms(ms)).to_string(), name);
    }
}

#[test]
fn a_walk_goes_on_from_any_of_its_names() {
    for overlap in [Repeat::First, Repeat::Second, Repeat::Both] {
        for gap in [Gap::Skip, Gap::RunOnceAfter] {
            for zone in ["America/New_York", "Australia/Lord_Howe", "Africa/Casablanca"] {
                let schedule = schedule_with("*/10 1,2 * 2-4,10,11 0", zone, false, Some(Dst { gap, overlap }));
                let ticks: Vec<_> = schedule.ticks(&after("2026-01-01T00:00:00Z")).take(400).collect();
                for pair in ticks.windows(2) {
                    assert!(pair[0].at < pair[1].at);
                    let name: TickName = pair[0].name.to_string().parse().unwrap();
                    assert_eq!(schedule.next(&name).as_ref(), Some(&pair[1]), "after {name}");
                    assert_eq!(
                        schedule.next(&TickName::of_instant(pair[0].at)).as_ref(),
                        Some(&pair[1]),
                        "after {name}"
                    );
                    assert_eq!(name.at(), pair[0].at, "{name}");
                }
            }
        }
    }
}

/// A government moved the clocks by an hour on short notice, and only the other process knew: its nine o'clock was an hour
/// earlier than ours, and it fired. By instants, ours would still be to come.
#[test]
fn a_tick_that_another_process_fired_by_other_zone_data_does_not_fire_again() {
    let ours = schedule("0 9 * * *", "Europe/London");
    let fired: TickName = "2026-06-01T09:00:00[Europe/London]".parse().unwrap();
    let by_their_clock = at("2026-06-01T07:00:00Z");
    assert_eq!(ours.next(&TickName::of_instant(by_their_clock)).unwrap().name, fired);
    assert_eq!(ours.next(&fired).unwrap().name.to_string(), "2026-06-02T09:00:00[Europe/London]");
}

#[test]
fn a_schedule_that_moves_to_another_zone_goes_on_from_the_same_instant() {
    let fired: TickName = "2026-06-01T09:00:00[Europe/London]".parse().unwrap();
    let moved = schedule("0 9 * * *", "America/New_York");
    assert_eq!(moved.next(&fired).unwrap().at, at("2026-06-01T13:00:00Z"));
    let interval = haul_schedule::ScheduleSpec::every("1h".parse().unwrap()).validate().unwrap();
    assert_eq!(interval.next(&fired).unwrap().at, at("2026-06-01T09:00:00Z"));
    let back: TickName = "2026-06-01T09:00:00Z".parse().unwrap();
    assert_eq!(schedule("0 9 * * *", "Europe/London").next(&back).unwrap().at, at("2026-06-02T08:00:00Z"));
}
