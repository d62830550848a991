//! Several schedulers at once, one of them stopped in the middle, and editors between them.

use crate::{faults::Faulty, world::World};
use haul_core::{Clock, Ledger, ProcessId, Span};
use haul_schedule::{Missed, MissedSpec, ScheduleSpec};
use std::{
    collections::BTreeSet,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn four_schedulers_at_once_fire_each_tick_once() {
    let world = Arc::new(World::at("2026-11-20T00:00:10Z"));
    let spec = ScheduleSpec {
        missed: Some(MissedSpec { policy: Missed::All, max: None, max_age: None }),
        ..ScheduleSpec::every(Span::from_secs(60))
    };
    for n in 0..700 {
        world.create(&format!("s{n}"), &spec).await;
    }
    world.forward(3 * MINUTE);
    let mut running = Vec::new();
    for _ in 0..4 {
        let world = world.clone();
        running.push(tokio::spawn(async move { world.fire_all(&world.scheduler().await).await }));
    }
    let mut fired = 0;
    for running in running {
        fired += running.await.unwrap();
    }
    assert_eq!(fired, 2_100);
    for (name, ticks) in world.ticks().await {
        let distinct: BTreeSet<&String> = ticks.iter().collect();
        assert_eq!((ticks.len(), distinct.len()), (3, 3), "{name}: {ticks:?}");
    }
}

#[tokio::test]
async fn a_scheduler_that_was_stopped_for_a_minute_fires_nothing_twice() {
    let world = World::at("2026-11-20T00:00:10Z");
    world.create("report", &ScheduleSpec::cron("* * * * *", "UTC")).await;
    let faulty = Faulty::new(world.ledger.clone());
    let stopped = world.scheduler_over(faulty.clone(), Clock::new()).await;
    let other = world.scheduler().await;
    world.forward(MINUTE);
    faulty.stop();
    let turn = tokio::spawn(async move { (stopped.turn().await, stopped) });
    faulty.arrived.acquire().await.unwrap().forget();
    assert_eq!(world.fire_all(&other).await, 1, "the others do not wait for it");
    world.forward(MINUTE);
    assert_eq!(world.fire_all(&other).await, 1);
    faulty.go_on();
    let (turn, stopped) = turn.await.unwrap();
    assert_eq!(turn.unwrap().fired, 0, "what it was about to fire has fired");
    world.forward(MINUTE);
    assert_eq!(world.fire_all(&stopped).await, 1, "and it goes on with the next");
    let expected = ["2026-11-20T00:01:00[UTC]", "2026-11-20T00:02:00[UTC]", "2026-11-20T00:03:00[UTC]"];
    assert_eq!(world.ticks_of("report").await, expected);
}

#[tokio::test]
async fn a_scheduler_that_came_second_steps_aside() {
    let world = World::at("2026-11-20T00:00:10Z");
    for n in 0..3_000 {
        world.create(&format!("s{n}"), &ScheduleSpec::cron("0 * * * *", "UTC")).await;
    }
    let faulty = Faulty::new(world.ledger.clone());
    let mut second = world.scheduler_over(faulty.clone(), Clock::new()).await;
    let first = world.scheduler().await;
    world.forward(60 * MINUTE);
    let mut fired = [0, 0];
    for fired in &mut fired {
        faulty.stop();
        let turn = tokio::spawn(async move { (second.turn().await, second) });
        faulty.arrived.acquire().await.unwrap().forget();
        assert_eq!(first.turn().await.unwrap().fired, 500, "one fires the longest overdue");
        faulty.go_on();
        let (turn, back) = turn.await.unwrap();
        second = back;
        *fired = turn.unwrap().fired;
    }
    assert_eq!(fired, [0, 500], "the other was about to fire the same, and from then on does not");
    assert_eq!(world.fire_all(&first).await + world.fire_all(&second).await, 1_500, "nothing is left out");
}

#[tokio::test]
async fn a_scheduler_with_a_stale_definition_fires_nothing() {
    let world = World::at("2026-11-20T00:00:10Z");
    world.create("edited", &ScheduleSpec::cron("* * * * *", "UTC")).await;
    world.create("paused", &ScheduleSpec::cron("* * * * *", "UTC")).await;
    let faulty = Faulty::new(world.ledger.clone());
    let scheduler = world.scheduler_over(faulty.clone(), Clock::new()).await;
    world.forward(MINUTE);
    faulty.stop();
    let turn = tokio::spawn(async move { (scheduler.turn().await, scheduler) });
    faulty.arrived.acquire().await.unwrap().forget();
    world.edit("edited", &ScheduleSpec::cron("0 * * * *", "UTC")).await;
    world.pause("paused", true).await;
    faulty.go_on();
    let (turn, scheduler) = turn.await.unwrap();
    assert_eq!(turn.unwrap().fired, 0);
    world.forward(60 * MINUTE);
    world.fire_all(&scheduler).await;
    assert_eq!(world.ticks_of("edited").await, ["2026-11-20T01:00:00[UTC]"], "the new definition is in its cache");
    assert_eq!(world.ticks_of("paused").await, [] as [&str; 0]);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_was_lost_is_asked_for_again() {
    let world = World::at("2026-11-20T00:00:10Z");
    for name in ["a", "b"] {
        world.create(name, &ScheduleSpec::cron("* * * * *", "UTC")).await;
    }
    let faulty = Faulty::new(world.ledger.clone());
    faulty.lost_answers.store(3, Ordering::SeqCst);
    let scheduler = world.scheduler_over(faulty.clone(), Clock::new()).await;
    world.forward(MINUTE);
    assert_eq!(scheduler.turn().await.unwrap().fired, 2, "it learns that they were its own");
    assert_eq!(world.jobs().await.len(), 2);
}

#[tokio::test]
async fn what_was_fired_by_a_lost_call_is_left_to_repair_when_others_have_gone_on() {
    let world = World::at("2026-11-20T00:00:10Z");
    world.create("report", &ScheduleSpec::every(Span::from_secs(1))).await;
    let faulty = Faulty::new(world.ledger.clone());
    // All of it happens while the scheduler counts as alive: nobody takes receipts of the living.
    let scheduler = world.scheduler_over(faulty.clone(), Clock::new()).await;
    let other = world.scheduler().await;
    world.forward(Duration::from_secs(1));
    faulty.stop();
    faulty.lost_answers.store(1, Ordering::SeqCst);
    let turn = tokio::spawn(async move { scheduler.turn().await });
    faulty.arrived.acquire().await.unwrap().forget();
    faulty.may_pass.add_permits(1);
    faulty.arrived.acquire().await.unwrap().forget();
    let lost = world.jobs().await;
    assert_eq!(lost.len(), 1, "it was taken, and its scheduler does not know");
    world.forward(Duration::from_secs(1));
    assert_eq!(world.fire_all(&other).await, 1);
    faulty.go_on();
    assert_eq!(turn.await.unwrap().unwrap().fired, 0);
    let receipts = world.ledger.take_receipts(ProcessId::random(), 10).await.unwrap();
    assert!(receipts.iter().any(|receipt| receipt.id.0 == lost[0].id), "repair takes it at once: {receipts:?}");
}
