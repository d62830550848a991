//! Missed ticks, jitter, and the ends of a schedule.

use crate::{after, at};
use haul_core::{Span, Timestamp};
use haul_schedule::{Due, Missed, MissedSpec, Progress, Schedule, ScheduleSpec, Tick, TickName, jitter};
use std::time::{Duration, Instant};

fn spec(cron: &str, policy: Missed, max: Option<u32>, max_age: Option<&str>) -> ScheduleSpec {
    let max_age = max_age.map(|age| age.parse().expect("a duration"));
    ScheduleSpec { missed: Some(MissedSpec { policy, max, max_age }), ..ScheduleSpec::cron(cron, "UTC") }
}

fn progress(through: &str) -> Progress {
    Progress::since(at(through))
}

fn times(due: &Due) -> Vec<String> {
    due.firings.iter().map(|firing| firing.tick.at.to_string()[11..19].to_owned()).collect()
}

/// Every hour since midnight, looked at with the given policy.
#[test]
fn each_policy_fires_what_it_says_and_moves_past_the_rest() {
    use Missed::{All, Last, Skip};
    const NONE: &[&str] = &[];
    type Row = (Missed, Option<u32>, Option<&'static str>, &'static str, &'static [&'static str], usize);
    let rows: &[Row] = &[
        // Nothing is due.
        (Skip, None, None, "00:59:59", NONE, 0),
        (Last, None, None, "00:59:59", NONE, 0),
        (All, None, None, "00:59:59", NONE, 0),
        // On time, for a minute.
        (Skip, None, None, "01:00:00", &["01:00:00"], 0),
        (Last, None, None, "01:00:00", &["01:00:00"], 0),
        (All, None, None, "01:00:00", &["01:00:00"], 0),
        (Skip, None, None, "01:01:00", &["01:00:00"], 0),
        (Skip, None, None, "01:01:01", NONE, 1),
        (Last, None, None, "01:01:01", &["01:00:00"], 0),
        (All, None, None, "01:01:01", &["01:00:00"], 0),
        // Five hours of silence, and nothing on time.
        (Skip, None, None, "05:30:00", NONE, 5),
        (Last, None, None, "05:30:00", &["05:00:00"], 4),
        (All, None, None, "05:30:00", &["01:00:00", "02:00:00", "03:00:00", "04:00:00", "05:00:00"], 0),
        (All, Some(2), None, "05:30:00", &["04:00:00", "05:00:00"], 3),
        (All, Some(1), None, "05:30:00", &["05:00:00"], 4),
        (All, None, Some("2h"), "05:30:00", &["04:00:00", "05:00:00"], 3),
        (All, Some(1), Some("2h"), "05:30:00", &["05:00:00"], 4),
        (All, None, Some("20m"), "05:30:00", NONE, 5),
        (Last, None, Some("30m"), "05:30:00", &["05:00:00"], 4),
        (Last, None, Some("29m"), "05:30:00", NONE, 5),
        // With one on time, which no policy takes away, and which stands for the last.
        (Skip, None, None, "05:00:10", &["05:00:00"], 4),
        (Last, None, None, "05:00:10", &["05:00:00"], 4),
        (Last, None, Some("1m"), "05:00:10", &["05:00:00"], 4),
        (All, None, None, "03:00:10", &["01:00:00", "02:00:00", "03:00:00"], 0),
        (All, Some(1), None, "05:00:10", &["04:00:00", "05:00:00"], 3),
        (All, None, Some("90m"), "05:00:10", &["04:00:00", "05:00:00"], 3),
    ];
    for (policy, max, max_age, now, expected, skipped) in rows {
        let schedule = spec("0 * * * *", *policy, *max, *max_age).validate().unwrap();
        let due = schedule.due("id", &progress("2026-01-01T00:00:00Z"), at(&format!("2026-01-01T{now}Z")));
        let row = format!("{policy} {max:?} {max_age:?} {now}");
        assert_eq!(times(&due), *expected, "{row}");
        assert_eq!(due.skipped, *skipped, "{row}");
        assert_eq!(due.progress.runs, expected.len() as u64, "{row}");
        let past = due.progress.fired_through.at();
        assert_eq!(past, at(&format!("2026-01-01T{}:00:00Z", &now[..2])), "{row}");
        assert!(due.next.is_some_and(|next| next.at > at(&format!("2026-01-01T{now}Z"))), "{row}");
    }
}

#[test]
fn a_clock_that_went_back_fires_nothing_and_moves_nothing() {
    let schedule = spec("* * * * *", Missed::All, None, None).validate().unwrap();
    let before = progress("2026-01-01T12:00:00Z");
    let due = schedule.due("id", &before, at("2026-01-01T11:50:00Z"));
    assert!(due.firings.is_empty() && due.progress == before);
    assert_eq!(due.next.unwrap().at, at("2026-01-01T12:01:00Z"));
}

#[test]
fn asking_twice_fires_once() {
    let schedule = spec("* * * * *", Missed::All, None, None).validate().unwrap();
    let now = at("2026-01-01T12:10:30Z");
    let first = schedule.due("id", &progress("2026-01-01T12:00:00Z"), now);
    assert_eq!(first.firings.len(), 10);
    assert!(schedule.due("id", &first.progress, now).firings.is_empty());
}

#[test]
fn an_edit_fires_nothing_of_the_past_again() {
    let daily = spec("0 2 * * *", Missed::All, None, None).validate().unwrap();
    let now = at("2026-01-03T12:00:00.5Z");
    let due = daily.due("id", &progress("2026-01-01T12:00:00Z"), now);
    assert_eq!(due.firings.len(), 2);

    // By the new definition there was a tick half a second ago, and one a minute before that.
    let each_minute = spec("* * * * *", Missed::All, None, None).validate().unwrap();
    let edited = due.progress.edited_at(now);
    assert_eq!(edited.runs, 2);
    assert!(each_minute.due("id", &edited, now).firings.is_empty());
    assert_eq!(times(&each_minute.due("id", &edited, at("2026-01-03T12:01:00Z"))), ["12:01:00"]);

    // A tick that was fired by a clock that was ahead stays fired.
    let ahead = progress("2026-01-03T12:10:00Z");
    assert_eq!(ahead.edited_at(now), ahead);
}

#[test]
fn a_schedule_ends_after_its_runs_and_within_its_bounds() {
    let mut spec = spec("0 * * * *", Missed::All, None, None);
    spec.max_runs = Some(3);
    let schedule = spec.validate().unwrap();
    let due = schedule.due("id", &progress("2026-01-01T00:00:00Z"), at("2026-01-01T05:00:00Z"));
    assert_eq!(times(&due), ["01:00:00", "02:00:00", "03:00:00"]);
    assert_eq!(due.next, None);
    let again = schedule.due("id", &due.progress, at("2026-01-01T06:00:00Z"));
    assert_eq!((again.firings.len(), again.progress, again.next), (0, due.progress, None));

    spec.max_runs = None;
    spec.start_at = Some(at("2026-01-01T02:00:00Z"));
    spec.end_at = Some(at("2026-01-01T04:00:00Z"));
    let schedule = spec.validate().unwrap();
    let due = schedule.due("id", &progress("2026-01-01T00:00:00Z"), at("2026-01-01T06:00:00Z"));
    assert_eq!((times(&due), due.next), (vec!["02:00:00".to_owned(), "03:00:00".to_owned()], None));
    // A start between two ticks, half a second after one.
    spec.start_at = Some(at("2026-01-01T02:00:00.5Z"));
    let schedule = spec.validate().unwrap();
    assert_eq!(schedule.next(&after("2026-01-01T00:00:00Z")).unwrap().at, at("2026-01-01T03:00:00Z"));
}

/// By definition: all due ticks in a row, and from them what fires.
fn by_definition(schedule: &Schedule, from: &TickName, now: Timestamp, spec: MissedSpec) -> (Vec<Tick>, TickName) {
    let due: Vec<Tick> = schedule.ticks(from).take_while(|tick| tick.at <= now).collect();
    let through = due.last().map_or(*from, |tick| tick.name);
    let age = |tick: &Tick| now.since(tick.at);
    let (on_time, missed): (Vec<Tick>, Vec<Tick>) =
        due.into_iter().partition(|tick| age(tick) <= Duration::from_secs(60));
    let mut young = missed.into_iter().filter(|tick| spec.max_age.is_none_or(|max| age(tick) <= max.as_duration()));
    let mut fires: Vec<Tick> = match spec.policy {
        Missed::Skip => Vec::new(),
        Missed::Last => young.next_back().filter(|_| on_time.is_empty()).into_iter().collect(),
        Missed::All => {
            let young: Vec<Tick> = young.collect();
            young[young.len().saturating_sub(spec.max.unwrap_or(100) as usize)..].to_vec()
        }
    };
    fires.extend(on_time);
    (fires, through)
}

#[test]
fn a_long_silence_is_answered_from_its_newest_ticks() {
    let zone = "America/New_York";
    let cases = [
        // A tick a second for hours; over a fold, a gap, and up to the middle of a fold.
        ("* * * * * *", "2026-06-01T00:00:00Z", "2026-06-01T01:00:30Z"),
        ("* * * * * *", "2026-11-01T04:30:00Z", "2026-11-01T07:10:00Z"),
        ("* * * * * *", "2026-11-01T04:30:00Z", "2026-11-01T06:05:00Z"),
        ("* * * * * *", "2026-03-08T05:30:00Z", "2026-03-08T07:00:10Z"),
        // What went before lies in a gap, thousands of ticks of it.
        ("* * 2 * * *", "2026-03-07T06:30:00Z", "2026-03-08T12:00:00Z"),
        // A burst, and then nothing for long.
        ("* 0-20 0 1 1 *", "2025-12-31T00:00:00Z", "2026-03-01T00:00:00Z"),
        ("*/7 * * * * *", "2026-10-31T00:00:00Z", "2026-11-01T12:00:20Z"),
    ];
    for (cron, from, now) in cases {
        for (policy, max, max_age) in [
            (Missed::Skip, None, None),
            (Missed::Last, None, None),
            (Missed::Last, None, Some(Span::from_secs(3_600))),
            (Missed::All, None, None),
            (Missed::All, Some(1_000), None),
            (Missed::All, Some(1_000), Some(Span::from_secs(300))),
        ] {
            let missed = MissedSpec { policy, max, max_age };
            let spec = ScheduleSpec { seconds: Some(true), missed: Some(missed), ..ScheduleSpec::cron(cron, zone) };
            let schedule = spec.validate().unwrap();
            let due = schedule.due("id", &progress(from), at(now));
            let (fires, through) = by_definition(&schedule, &after(from), at(now), missed);
            let found: Vec<&Tick> = due.firings.iter().map(|firing| &firing.tick).collect();
            assert!(found.iter().copied().eq(&fires), "{cron} {now} {missed:?}: {} and {}", found.len(), fires.len());
            assert_eq!(due.progress.fired_through, through, "{cron} {now} {missed:?}");
        }
    }
}

#[test]
fn years_of_silence_are_answered_at_once() {
    for policy in Missed::ALL {
        let missed = Some(MissedSpec { policy: *policy, max: None, max_age: None });
        let cron = ScheduleSpec { seconds: Some(true), ..ScheduleSpec::cron("* * * * * *", "Europe/London") };
        for spec in
            [ScheduleSpec { missed, ..cron }, ScheduleSpec { missed, ..ScheduleSpec::every(Span::from_secs(1)) }]
        {
            let schedule = spec.validate().unwrap();
            let started = Instant::now();
            let due = schedule.due("id", &progress("1970-01-01T00:00:00Z"), at("2026-11-22T12:00:00Z"));
            assert_eq!(due.progress.fired_through.at(), at("2026-11-22T12:00:00Z"));
            let missed = if *policy == Missed::All { 100 } else { 0 };
            assert_eq!(due.firings.len(), 61 + missed);
            assert!(due.skipped >= 900);
            // 1.8 thousand million ticks would take hours.
            assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
        }
    }
}

#[test]
fn a_silence_over_the_end_of_a_schedule_is_answered_from_that_end() {
    let missed = Some(MissedSpec { policy: Missed::All, max: Some(5), max_age: None });
    let end_at = Some(at("2026-03-01T00:00:00Z"));
    let cron = ScheduleSpec { seconds: Some(true), ..ScheduleSpec::cron("* * * * * *", "Europe/London") };
    for spec in [cron, ScheduleSpec::every(Span::from_secs(1))] {
        let schedule = ScheduleSpec { missed, end_at, ..spec }.validate().unwrap();
        let started = Instant::now();
        let due = schedule.due("id", &progress("2026-01-01T00:00:00Z"), at("2099-01-01T00:00:00Z"));
        assert_eq!(times(&due), ["23:59:55", "23:59:56", "23:59:57", "23:59:58", "23:59:59"]);
        assert_eq!((due.progress.fired_through.at(), due.next), (at("2026-02-28T23:59:59Z"), None));
        assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    }
}

#[test]
fn a_clock_beyond_the_calendar_ends_the_schedule() {
    for spec in [ScheduleSpec::cron("* * * * *", "Europe/London"), ScheduleSpec::every(Span::from_secs(1))] {
        let due = spec.validate().unwrap().due("id", &progress("2026-01-01T00:00:00Z"), Timestamp::from_ms(i64::MAX));
        assert_eq!(
            (due.progress.fired_through.to_string()[..16].to_owned(), due.next),
            ("2100-12-31T23:59".into(), None)
        );
        assert!(due.firings.len() <= 61);
    }
}

#[test]
fn jitter_is_the_same_everywhere_and_for_ever() {
    let name: TickName = "2026-01-01T00:00:00[UTC]".parse().unwrap();
    let window = Span::from_secs(600);
    assert_eq!(jitter("nightly", &name, window).as_ms(), JITTER_OF_NIGHTLY_MS, "an upgrade must not move runs");
    assert_eq!(jitter("nightly", &name, Span::default()).as_ms(), 0);
    assert_eq!(jitter("nightly", &name, Span::from_ms(1)).as_ms(), 0);
    let next: TickName = "2026-01-02T00:00:00[UTC]".parse().unwrap();
    assert_ne!(jitter("nightly", &name, window), jitter("nightly", &next, window));

    let mut spec = ScheduleSpec::cron("0 0 * * *", "UTC");
    spec.jitter = Some(window);
    let due = spec.validate().unwrap().due("nightly", &progress("2025-12-31T12:00:00Z"), at("2026-01-01T00:00:01Z"));
    assert_eq!(due.firings[0].run_at, due.firings[0].tick.at.plus(Duration::from_millis(JITTER_OF_NIGHTLY_MS)));
}

const JITTER_OF_NIGHTLY_MS: u64 = 237_458;

#[test]
fn jitter_spreads_the_midnight_of_ten_thousand_schedules_evenly() {
    let name: TickName = "2026-01-01T00:00:00[UTC]".parse().unwrap();
    let mut seconds = [0_u32; 100];
    for schedule in 0..10_000 {
        let spread = jitter(&format!("schedule-{schedule}"), &name, Span::from_secs(100));
        seconds[spread.as_ms() as usize / 1_000] += 1;
    }
    // A hundred each, give or take five times the standard deviation.
    assert!(seconds.iter().all(|&count| (50..=150).contains(&count)), "{seconds:?}");
}
