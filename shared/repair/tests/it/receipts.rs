//! Receipts whose owners left them behind.

use crate::{
    faulty::{Fate, Faulty},
    world::{World, kind, queue},
};
use haul_core::{Ledger, ProcessId};
use std::time::Duration;

/// A world whose queue is rebuilt already, so that only receipts can bring tickets.
async fn world() -> World {
    let world = World::new();
    world.alive().await;
    world.accepted("mail", 1).await;
    world.repairer().pass().await.unwrap();
    assert_eq!(world.claim_ids(&queue("mail")).await.len(), 1);
    world
}

#[tokio::test]
async fn a_receipt_of_nobody_brings_its_jobs_at_once() {
    let world = world().await;
    let jobs = [world.job("mail"), world.job("mail")];
    world.accept(ProcessId::NOBODY, &jobs).await;
    world.repairer().pass().await.unwrap();
    assert_eq!(world.claim_ids(&queue("mail")).await, [jobs[0].id, jobs[1].id]);
}

#[tokio::test]
async fn a_receipt_of_a_process_that_died_brings_its_unsettled_jobs() {
    let world = world().await;
    let jobs = [world.job("mail"), world.job("mail")];
    world.accept(world.me, &jobs).await;
    world.succeed(jobs[0].id).await;
    let mut repairer = world.repairer();
    repairer.pass().await.unwrap();
    assert_eq!(world.claim_ids(&queue("mail")).await, [], "its owner is alive and will see to it");
    world.ledger.age(Duration::from_secs(20));
    repairer.pass().await.unwrap();
    assert_eq!(world.claim_ids(&queue("mail")).await, [jobs[1].id]);
}

#[tokio::test]
async fn a_receipt_is_swept_once_more_and_then_dropped() {
    let world = world().await;
    let job = world.job("mail");
    world.accept(ProcessId::NOBODY, std::slice::from_ref(&job)).await;
    let mut repairer = world.repairer();
    repairer.pass().await.unwrap();
    assert_eq!(world.claim_ids(&queue("mail")).await, [job.id]);
    world.succeed(job.id).await;
    world.ledger.age(Duration::from_secs(61));
    world.alive().await;
    repairer.pass().await.unwrap();
    world.ledger.age(Duration::from_secs(3_600));
    world.alive().await;
    assert_eq!(world.ledger.take_receipts(world.me, 10).await.unwrap(), []);
}

#[tokio::test]
async fn a_job_whose_minute_was_closed_before_it_was_committed_is_found_and_read_from_then_on() {
    let world = world().await;
    let now = world.clock.now();
    // Its id is minutes old by the time that its transaction commits, and its minute is closed.
    let late = world.job("mail");
    world.clock.sync(now.plus(Duration::from_secs(600)), Duration::ZERO);
    while world.ledger.close_minutes().await.unwrap() > 0 {}
    world.accept(ProcessId::NOBODY, std::slice::from_ref(&late)).await;
    world.repairer().pass().await.unwrap();
    assert_eq!(world.claim_ids(&queue("mail")).await, [late.id]);
    let unsettled = world.ledger.unsettled(None, None, 100).await.unwrap();
    assert!(unsettled.jobs.iter().any(|job| job.id == late.id));
}

#[tokio::test(start_paused = true)]
async fn receipts_for_more_than_a_pass_are_swept_to_their_end_and_no_job_twice() {
    let world = World::simulated().with(&["mail"]).await;
    let slow = Faulty::new(world.dispatch.clone(), |_| Fate::Answered);
    // Far more than one pass: 30 receipts of up to three pages, each page a second.
    slow.answers_after(Duration::from_secs(1));
    let mut repairer = world.repairer_over(slow.clone());
    let mut jobs = 0;
    for n in 0..30 {
        let batch: Vec<_> = (0..200 + 200 * (n % 25)).map(|_| world.job("mail")).collect();
        jobs += batch.len();
        world.accept(ProcessId::NOBODY, &batch).await;
    }
    let mut passes = 0;
    let begun = tokio::time::Instant::now();
    while begun.elapsed() < Duration::from_secs(55) || passes < 4 {
        world.alive().await;
        repairer.pass().await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
        passes += 1;
    }
    let ready = world.dispatch.stats(&queue("mail"), &[kind()]).await.unwrap().ready;
    assert!(ready as usize <= jobs, "{ready} tickets for {jobs} jobs");
    assert!(passes > 3, "a pass ends before its receipts do");
    // Their last sweep, and they are gone.
    for _ in 0..120 {
        world.alive().await;
        repairer.pass().await.unwrap();
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    let seen = world.dispatch.stats(&queue("mail"), &[kind()]).await.unwrap().ready as usize;
    assert!(seen >= jobs, "{seen} tickets for {jobs} jobs");
    assert_eq!(world.ledger.take_receipts(ProcessId::random(), 100).await.unwrap(), []);
}
