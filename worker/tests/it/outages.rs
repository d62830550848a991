//! The ledger or the dispatch goes away and comes back: everything resumes by itself.

use crate::echo::echoing;
use crate::{
    faulty::MARK,
    world::{World, config, eventually, quick},
};
use haul_core::{FinalState, Job};
use std::{sync::atomic::Ordering::SeqCst, time::Duration};
use tokio::time::sleep;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn results_wait_for_a_ledger_that_is_down_and_nothing_is_claimed_meanwhile() {
    let world = World::new();
    let worker = world.start(echoing(world.builder()));
    let running = world.submit("echo", r#"{"sleep": "300ms"}"#).await;
    eventually("it runs", async || (world.stats("default", &["echo"]).await.leased == 1).then_some(())).await;
    world.ledger.is_down.store(true, SeqCst);
    let waiting: Vec<Job> = (0..500).map(|_| world.job("echo", "1", quick(3))).collect();
    let ids: Vec<_> = waiting.iter().map(|job| job.id).collect();
    world.accept(waiting).await;
    sleep(Duration::from_millis(1_500)).await;
    let before = world.dispatch.claim_calls.load(SeqCst);
    sleep(Duration::from_millis(500)).await;
    assert_eq!(world.dispatch.claim_calls.load(SeqCst), before);
    assert_eq!(world.look(running).await.outcome, None);
    world.ledger.is_down.store(false, SeqCst);
    for id in ids.into_iter().chain([running]) {
        assert_eq!(world.outcome(id).await.attempt, 1);
    }
    worker.end().await.unwrap();
    assert_eq!(world.stats("default", &["echo"]).await.leased, 0);
}

#[tokio::test]
async fn a_ledger_that_is_down_at_the_start_is_waited_for() {
    let world = World::new();
    world.ledger.is_down.store(true, SeqCst);
    let id = world.submit("echo", "1").await;
    let worker = world.start(echoing(world.builder()));
    sleep(Duration::from_millis(300)).await;
    world.ledger.is_down.store(false, SeqCst);
    world.succeeded(id).await;
    worker.end().await.unwrap();
}

#[tokio::test]
async fn a_commit_whose_answer_was_lost_is_sent_again_and_counts_once() {
    let world = World::new();
    world.ledger.answers_to_lose.store(3, SeqCst);
    let worker = world.start(echoing(world.builder()));
    let id = world.submit("echo", r#"{"fail": 1}"#).await;
    let outcome = world.outcome(id).await;
    assert_eq!((outcome.state, outcome.attempt), (FinalState::Succeeded, 2));
    assert_eq!(world.look(id).await.failure_count, 1);
    worker.end().await.unwrap();
    assert_eq!(world.stats("default", &["echo"]).await.leased, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_dispatch_successes_are_recorded_and_failures_past_their_lease_when_it_is_back() {
    let world = World::new();
    let mut config = config();
    config.lease = haul_core::Span::from_ms(600);
    let worker = world.start(echoing(world.builder().config(config)));
    let good = world.submit("echo", r#"{"sleep": "1200ms"}"#).await;
    let bad = world.submit_with("echo", r#"{"sleep": "1200ms", "fail": true}"#, quick(1)).await;
    eventually("both run", async || (world.stats("default", &["echo"]).await.leased == 2).then_some(())).await;
    world.dispatch.is_down.store(true, SeqCst);
    world.succeeded(good).await;
    // Only this worker may be cut off: another one may hold the lease of what failed here.
    assert_eq!(world.look(bad).await.outcome, None);
    world.dispatch.is_down.store(false, SeqCst);
    assert_eq!(world.died(bad).await.0, 1);
    let next = world.submit("echo", "1").await;
    world.succeeded(next).await;
    worker.end().await.unwrap();
}

#[tokio::test]
async fn a_record_that_the_ledger_refuses_fails_alone() {
    let world = World::new();
    world.ledger.refuse_marked.store(true, SeqCst);
    let mark = std::str::from_utf8(MARK).unwrap();
    let jobs: Vec<Job> = (0..100).map(|n| world.job("echo", if n == 42 { mark } else { "1" }, quick(3))).collect();
    let ids: Vec<_> = jobs.iter().map(|job| job.id).collect();
    world.accept(jobs).await;
    let worker = world.start(echoing(world.builder()));
    for (n, id) in ids.into_iter().enumerate() {
        if n == 42 {
            let (attempt, message) = world.died(id).await;
            assert_eq!(attempt, 1);
            assert!(message.contains("refused"), "{message}");
        } else {
            world.succeeded(id).await;
        }
    }
    worker.end().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ending_worker_gives_up_on_a_ledger_that_stays_away() {
    let world = World::new();
    let worker = world.start(echoing(world.builder()));
    let id = world.submit("echo", r#"{"sleep": "100ms"}"#).await;
    eventually("it runs", async || (world.stats("default", &["echo"]).await.leased == 1).then_some(())).await;
    world.ledger.is_down.store(true, SeqCst);
    worker.end().await.unwrap();
    assert_eq!(world.look(id).await.outcome, None);
}
