//! Random expressions in random zones, around the times at which clocks are set, against the reference.

use crate::{
    policies,
    reference::{Clock, Definition, Field, Item},
    schedule_with,
    year::ticks,
};
use chrono::{DateTime, TimeDelta, Utc};
use haul_schedule::{Dst, Expression};
use proptest::{prelude::*, sample::select};

/// Zones and moments around which to look; the last two are ordinary days.
const MOMENTS: [(&str, &str); 12] = [
    ("America/New_York", "2026-03-08T07:00:00Z"),
    ("America/New_York", "2026-11-01T06:00:00Z"),
    ("Europe/London", "2026-03-29T01:00:00Z"),
    ("Europe/London", "2026-10-25T01:00:00Z"),
    ("Australia/Lord_Howe", "2026-04-04T15:00:00Z"),
    ("Australia/Lord_Howe", "2026-10-03T15:30:00Z"),
    ("America/Sao_Paulo", "2018-02-18T02:00:00Z"),
    ("America/Sao_Paulo", "2018-11-04T03:00:00Z"),
    ("Pacific/Apia", "2011-12-30T10:00:00Z"),
    ("Africa/Casablanca", "2026-02-15T02:00:00Z"),
    ("Asia/Kolkata", "2026-12-31T18:30:00Z"),
    ("UTC", "2028-02-29T00:00:00Z"),
];

fn item(min: u32, max: u32) -> impl Strategy<Value = Item> {
    let range = (min..=max, min..=max).prop_map(|(one, other)| (one.min(other), one.max(other)));
    let step = |width: u32| prop_oneof![Just(None), (1..=width.max(1)).prop_map(Some)];
    prop_oneof![
        2 => step(max - min).prop_map(|step| Item::Any { step }),
        3 => (min..=max).prop_map(Item::Value),
        2 => range.prop_flat_map(move |(from, to)| step(to - from).prop_map(move |step| Item::Range { from, to, step })),
    ]
}

fn field(min: u32, max: u32) -> impl Strategy<Value = Field> {
    proptest::collection::vec(item(min, max), 1..4).prop_map(move |items| Field { items, min })
}

fn days() -> impl Strategy<Value = (Field, Field, Field)> {
    (field(1, 31), field(1, 12), field(0, 7))
}

/// Every field at random, or the time of day alone: with all of them most ranges have no tick.
fn definition(second: bool) -> impl Strategy<Value = Definition> {
    let any = |min| Field { items: vec![Item::Any { step: None }], min };
    let days = prop_oneof![Just((any(1), any(1), any(0))), days()];
    let second = if second { field(0, 59).prop_map(Some).boxed() } else { Just(None).boxed() };
    (second, field(0, 59), field(0, 23), days).prop_map(|(second, minute, hour, (day, month, weekday))| Definition {
        second,
        fields: [minute, hour, day, month, weekday],
    })
}

fn compare(definition: &Definition, moment: (&str, &str), hours: i64, step_seconds: i64) -> Result<(), TestCaseError> {
    let (zone, middle) = moment;
    let middle: DateTime<Utc> = middle.parse().expect("a moment");
    let (from, to) = (middle - TimeDelta::hours(hours), middle + TimeDelta::hours(hours));
    let text = definition.text();
    let policies: Vec<Dst> = policies().collect();
    let expected = Clock::watch(zone.parse().expect("a zone"), from, to, step_seconds).ticks(definition, &policies);
    if Expression::parse(&text, definition.second.is_some()).is_err() {
        prop_assert!(expected.iter().all(Vec::is_empty), "{text} was refused and fires");
        return Ok(());
    }
    for (dst, expected) in policies.iter().zip(expected) {
        let seconds = definition.second.is_some();
        let dst = Some(*dst);
        prop_assert_eq!(
            ticks(&schedule_with(&text, zone, seconds, dst), from, to),
            expected,
            "{} {} {:?}",
            text,
            zone,
            dst
        );
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_expression_matches_the_reference_minute_by_minute(
        definition in definition(false),
        moment in select(&MOMENTS[..]),
    ) {
        compare(&definition, moment, 30, 60)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(25))]

    #[test]
    fn any_expression_with_seconds_matches_the_reference_second_by_second(
        mut definition in definition(true),
        moment in select(&MOMENTS[..]),
    ) {
        // One minute, or the range is drowned in ticks.
        definition.fields[0].items.truncate(1);
        compare(&definition, moment, 3, 1)?;
    }
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,40}", seconds: bool) {
        let _ = Expression::parse(&text, seconds);
    }

    #[test]
    fn no_text_of_crons_own_letters_makes_it_panic(text in "[0-9*,/ a-zA-Z@?#-]{0,30}", seconds: bool) {
        if let Ok(expression) = Expression::parse(&text, seconds) {
            prop_assert!(expression.next(DateTime::UNIX_EPOCH.naive_utc()).is_some());
        }
    }

    #[test]
    fn no_time_makes_it_panic(year in -262_000_i32..262_000, text in select(&["* * * * *", "0 0 29 2 */7", "0 0 1 * 1"][..])) {
        let expression = Expression::parse(text, false).expect("an expression");
        let here = chrono::NaiveDate::from_ymd_opt(year, 3, 1).expect("a day").and_time(chrono::NaiveTime::MIN);
        prop_assert_eq!(expression.next(here).is_some(), year < 2089 || year < 2101 && !text.contains("29"));
        prop_assert_eq!(expression.previous(here).is_some(), year >= 1970 && !text.contains("29") || year >= 1976);
    }

    #[test]
    fn no_text_makes_a_name_panic_and_each_name_has_one_text(text in "[0-9TZ:+\\[\\]a-zA-Z/_-]{0,40}") {
        if let Ok(name) = text.parse::<haul_schedule::TickName>() {
            prop_assert_eq!(name.to_string(), text);
        }
    }

    /// Back and forth meet: the last time before is the one whose next is not before.
    #[test]
    fn previous_is_the_inverse_of_next(definition in definition(false), minutes in 0_i64..60_000_000) {
        let Ok(expression) = Expression::parse(&definition.text(), false) else { return Ok(()) };
        let here = DateTime::UNIX_EPOCH.naive_utc() + TimeDelta::minutes(minutes);
        if let Some(previous) = expression.previous(here) {
            prop_assert!(previous < here && definition.holds(previous));
            prop_assert!(expression.next(previous).is_none_or(|next| next >= here));
        }
    }
}
