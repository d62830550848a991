//! Thousands of schedules are looked through in a moment, and none spins. The bounds are for unoptimised code on a busy
//! machine: ten times what was measured.

use crate::{after, at, schedule, schedule_with};
use haul_schedule::{Progress, Schedule};
use std::time::{Duration, Instant};

#[test]
fn ten_thousand_schedules_due_in_the_same_minute_are_looked_through_in_seconds() {
    const ZONES: [&str; 4] = ["America/New_York", "Europe/London", "Asia/Kolkata", "UTC"];
    let schedules: Vec<Schedule> = (0..10_000)
        .map(|n| schedule(&format!("{} {} * * {}", n % 60, n % 24, n % 7), ZONES[n % ZONES.len()]))
        .collect();
    let progress = Progress::since(at("2026-11-01T00:00:00Z"));
    let started = Instant::now();
    let mut fired = 0;
    for (n, schedule) in schedules.iter().enumerate() {
        fired += schedule.due(&n.to_string(), &progress, at("2026-11-08T00:00:00Z")).firings.len();
    }
    let took = started.elapsed();
    println!("10,000 schedules in {took:?}");
    assert_eq!(fired, 10_000);
    assert!(took < Duration::from_secs(10), "{took:?}");
}

#[test]
fn the_sparsest_expressions_do_not_spin() {
    for (cron, seconds) in [
        ("0 0 29 2 */7", false),
        ("59 59 23 29 2 */7", true),
        ("30 1 31 3 */7", false),
        ("59 23 31 12 */7", false),
        ("* * 1 2-30 3 */7", true),
    ] {
        for zone in ["Europe/London", "Pacific/Apia"] {
            let schedule = schedule_with(cron, zone, seconds, None);
            let started = Instant::now();
            // Past its last tick the calendar is searched to its end.
            for from in ["1970-01-01T00:00:00Z", "2026-01-01T00:00:00Z", "2088-03-01T00:00:00Z", "2100-12-31T00:00:00Z"]
            {
                schedule.next(&after(from));
            }
            let took = started.elapsed();
            assert!(took < Duration::from_secs(1), "{cron} {zone}: {took:?}");
        }
    }
}
