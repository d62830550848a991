//! A scheduler that runs by itself, in real time.

use crate::world::World;
use haul_conformance::eventually;
use haul_core::{Dispatch, Ledger, QueueRef, QueueSettings, Span};
use haul_schedule::ScheduleSpec;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

#[tokio::test]
async fn a_scheduler_fires_by_itself_and_brings_tickets_to_the_dispatch() {
    let world = World::now();
    let queue = QueueRef::default();
    let (kinds, settings) = ([crate::world::template().kind], QueueSettings::default());
    if let Some(token) = world.dispatch.begin_rebuild(&queue, &kinds, &settings, Duration::from_secs(60)).await.unwrap()
    {
        world.dispatch.finish_rebuild(&queue, token, &settings).await.unwrap();
    }
    let stop = CancellationToken::new();
    let running = tokio::spawn(world.scheduler().await.run(stop.clone()));
    // Created while it runs, and no event tells of it.
    world.create("every-second", &ScheduleSpec::every(Span::from_secs(1))).await;
    eventually("three ticks have fired", async || (world.jobs().await.len() >= 3).then_some(())).await;
    eventually("their tickets are in the dispatch", async || {
        let stats = world.dispatch.stats(&queue, &kinds).await.unwrap();
        (stats.ready >= 3).then_some(())
    })
    .await;
    for job in world.jobs().await {
        let late = job.created_at().since(job.run_at);
        assert!(late < Duration::from_secs(2), "a tick was fired {late:?} late");
    }
    let asked_at = Instant::now();
    stop.cancel();
    running.await.unwrap();
    assert!(asked_at.elapsed() < Duration::from_secs(3), "it ends when it is told to");
    world.ledger.age(Duration::from_secs(10));
    assert_eq!(
        world.ledger.take_receipts(haul_core::ProcessId::random(), 10).await.unwrap(),
        [],
        "nothing is left to repair"
    );
}

#[tokio::test]
async fn tickets_that_find_no_dispatch_are_left_to_repair() {
    let world = World::now();
    world.create("every-second", &ScheduleSpec::every(Span::from_secs(1))).await;
    world.forward(Duration::from_secs(1));
    let scheduler = world.scheduler().await;
    assert!(world.fire_all(&scheduler).await >= 1);
    let taken = world.ledger.take_receipts(haul_core::ProcessId::random(), 10).await.unwrap();
    assert!(!taken.is_empty(), "repair takes the receipt at once, although its process lives");
}
