//! Simulated days: the clock is moved, and ticks are compared with the calendar's.

use crate::world::World;
use haul_core::{Clock, Span, Timestamp};
use haul_schedule::{Missed, MissedSpec, Overlap, ScheduleSpec, TickName};
use std::{collections::BTreeMap, time::Duration};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);

fn missed(policy: Missed, max: Option<u32>, max_age: Option<Span>) -> Option<MissedSpec> {
    Some(MissedSpec { policy, max, max_age })
}

/// The names of the calendar's ticks after one time, up to another.
fn calendar(spec: &ScheduleSpec, after: Timestamp, through: Timestamp) -> Vec<String> {
    let schedule = spec.validate().unwrap();
    let ticks = schedule.ticks(&TickName::of_instant(after)).take_while(|tick| tick.at <= through);
    ticks.map(|tick| tick.name.to_string()).collect()
}

#[tokio::test]
async fn two_schedulers_fire_each_tick_of_three_days_once() {
    // Clocks are set in all of these zones within these days.
    let world = World::at("2026-10-31T00:00:10Z");
    let begun = world.clock.now();
    let specs = BTreeMap::from([
        ("every-ten-minutes", ScheduleSpec::every(Span::from_secs(600))),
        ("new-york", ScheduleSpec::cron("30 * * * *", "America/New_York")),
        ("new-york-nightly", ScheduleSpec::cron("30 1 * * *", "America/New_York")),
        ("weekdays", ScheduleSpec::cron("15 9 * * mon-fri", "Europe/London")),
        ("havana", ScheduleSpec::cron("*/20 0-2 * * *", "America/Havana")),
    ]);
    for (name, spec) in &specs {
        world.create(name, spec).await;
    }
    let schedulers = [world.scheduler().await, world.scheduler().await];
    for minute in 0..3 * 24 * 60 {
        world.forward(MINUTE);
        world.fire_all(&schedulers[minute % 2]).await;
        assert_eq!(world.fire_all(&schedulers[(minute + 1) % 2]).await, 0, "what has fired is not due");
    }
    let ticks = world.ticks().await;
    for (name, spec) in &specs {
        let expected = calendar(spec, begun, world.clock.now());
        assert!(!expected.is_empty(), "{name} has ticks");
        assert_eq!(ticks[*name], expected, "{name}");
        assert_eq!(world.read(name).await.runs, expected.len() as u64);
    }
}

#[tokio::test]
async fn after_a_day_without_a_scheduler_the_policy_decides() {
    let world = World::at("2026-11-20T00:00:10Z");
    let hourly = ScheduleSpec::cron("0 * * * *", "UTC");
    let age = Some(Span::from_secs(3 * 3_600 + 60));
    for (name, missed) in [
        ("skip", missed(Missed::Skip, None, None)),
        ("last", missed(Missed::Last, None, None)),
        ("all", missed(Missed::All, None, None)),
        ("five", missed(Missed::All, Some(5), None)),
        ("young", missed(Missed::All, None, age)),
        ("default", None),
    ] {
        world.create(name, &ScheduleSpec { missed, ..hourly.clone() }).await;
    }
    world.forward(24 * HOUR + 10 * MINUTE);
    let scheduler = world.scheduler().await;
    world.fire_all(&scheduler).await;
    let ticks = world.ticks().await;
    let count = |name: &str| ticks.get(name).map_or(0, Vec::len);
    let counts = ["skip", "last", "all", "five", "young", "default"].map(count);
    assert_eq!(counts, [0, 1, 24, 5, 3, 1]);
    assert_eq!(ticks["last"], ["2026-11-21T00:00:00[UTC]"]);
    assert_eq!(ticks["five"][0], "2026-11-20T20:00:00[UTC]");
    // And then all go on alike.
    world.forward(50 * MINUTE);
    assert_eq!(world.fire_all(&scheduler).await, 6);
    assert_eq!(world.ticks().await["skip"], ["2026-11-21T01:00:00[UTC]"]);
}

#[tokio::test]
async fn a_paused_schedule_fires_nothing_and_its_policy_decides_when_it_is_resumed() {
    let world = World::at("2026-11-20T00:00:10Z");
    for (name, policy) in [("skip", Missed::Skip), ("all", Missed::All)] {
        let spec = ScheduleSpec { missed: missed(policy, None, None), ..ScheduleSpec::cron("0 * * * *", "UTC") };
        world.create(name, &spec).await;
        world.pause(name, true).await;
    }
    let scheduler = world.scheduler().await;
    for _ in 0..10 {
        world.forward(HOUR);
        assert_eq!(world.fire_all(&scheduler).await, 0);
    }
    world.forward(10 * MINUTE);
    for name in ["skip", "all"] {
        world.pause(name, false).await;
    }
    world.fire_all(&scheduler).await;
    let ticks = world.ticks().await;
    assert_eq!((ticks.get("skip"), ticks["all"].len()), (None, 10));
}

#[tokio::test]
async fn an_edit_never_fires_past_ticks() {
    let world = World::at("2026-11-20T00:00:10Z");
    let catch_up =
        |cron: &str| ScheduleSpec { missed: missed(Missed::All, None, None), ..ScheduleSpec::cron(cron, "UTC") };
    world.create("report", &catch_up("0 * * * *")).await;
    let scheduler = world.scheduler().await;
    world.forward(3 * HOUR);
    assert_eq!(world.fire_all(&scheduler).await, 3);
    // Within the hour, to one that would have had 180 ticks since.
    world.forward(10 * MINUTE);
    world.edit("report", &catch_up("* * * * *")).await;
    assert_eq!(world.fire_all(&scheduler).await, 0);
    world.forward(2 * MINUTE);
    assert_eq!(world.fire_all(&scheduler).await, 2);
    // Back again, at once: the hour that has fired does not fire once more.
    world.edit("report", &catch_up("0 * * * *")).await;
    assert_eq!(world.fire_all(&scheduler).await, 0);
    let ticks = world.ticks_of("report").await;
    assert_eq!(ticks[2..], ["2026-11-20T03:00:00[UTC]", "2026-11-20T03:11:00[UTC]", "2026-11-20T03:12:00[UTC]"]);
}

#[tokio::test]
async fn a_job_waits_for_the_one_before_it() {
    let world = World::at("2026-11-20T00:00:10Z");
    let spec = |overlap| ScheduleSpec { overlap: Some(overlap), ..ScheduleSpec::cron("* * * * *", "UTC") };
    world.create("skip", &spec(Overlap::Skip)).await;
    world.create("queue", &spec(Overlap::Queue)).await;
    world.create("allow", &spec(Overlap::Allow)).await;
    let scheduler = world.scheduler().await;
    for _ in 0..4 {
        world.forward(MINUTE);
        assert!(world.fire_all(&scheduler).await <= 3);
    }
    let count = async |name: &str| world.read(name).await.runs;
    assert_eq!((count("skip").await, count("queue").await, count("allow").await), (1, 1, 4));
    world.succeed_last_job("skip").await;
    world.succeed_last_job("queue").await;
    world.forward(Duration::from_secs(30));
    world.fire_all(&scheduler).await;
    assert_eq!(world.ticks_of("queue").await, ["2026-11-20T00:02:00[UTC]"], "the one that waited; two have passed");
    world.forward(MINUTE);
    world.fire_all(&scheduler).await;
    assert_eq!(world.ticks_of("skip").await, ["2026-11-20T00:05:00[UTC]"]);
    assert_eq!(count("queue").await, 2, "the next one waits in turn");
}

#[tokio::test]
async fn a_process_whose_clock_is_off_by_ten_minutes_fires_in_time() {
    let world = World::at("2026-11-20T00:00:10Z");
    world.create("hourly", &ScheduleSpec::cron("0 * * * *", "UTC")).await;
    for (hour, off_ms) in [(1, 600_000), (2, -600_000)] {
        let own_clock = Clock::new();
        let ledger_now = world.clock.now();
        own_clock.sync(Timestamp::from_ms(ledger_now.as_ms() + off_ms), Duration::ZERO);
        let scheduler = world.scheduler_over(world.ledger.clone(), own_clock).await;
        world.set(format!("2026-11-20T0{hour}:00:00Z").parse::<Timestamp>().unwrap().minus(Duration::from_secs(5)));
        assert_eq!(world.fire_all(&scheduler).await, 0, "not early");
        world.forward(Duration::from_secs(5));
        assert_eq!(world.fire_all(&scheduler).await, 1, "not late");
        let job = world.jobs().await.pop().unwrap();
        let off = world.clock.now().since(job.created_at());
        assert!(off < MINUTE && job.created_at() <= world.clock.now().plus(MINUTE), "its id is of the ledger's time");
    }
    assert_eq!(world.ticks_of("hourly").await, ["2026-11-20T01:00:00[UTC]", "2026-11-20T02:00:00[UTC]"]);
}

#[tokio::test]
async fn jitter_spreads_the_runs_and_the_end_is_kept() {
    let world = World::at("2026-11-20T00:00:10Z");
    let spec = ScheduleSpec {
        jitter: Some(Span::from_secs(1_800)),
        end_at: Some("2026-11-20T03:00:00Z".parse().unwrap()),
        ..ScheduleSpec::cron("0 * * * *", "UTC")
    };
    for n in 0..20 {
        world.create(&format!("s{n}"), &spec).await;
    }
    let scheduler = world.scheduler().await;
    for _ in 0..5 {
        world.forward(HOUR);
        world.fire_all(&scheduler).await;
    }
    let jobs = world.jobs().await;
    assert_eq!(jobs.len(), 40, "at one and at two o'clock; three is the end");
    let mut at: Vec<i64> = jobs.iter().map(|job| job.run_at.as_ms() % 3_600_000 / 60_000).collect();
    at.sort_unstable();
    at.dedup();
    assert!(at.len() > 15 && at.iter().all(|minute| *minute < 30), "{at:?}");
    assert_eq!(world.read("s0").await.position.next_at, None);
}
