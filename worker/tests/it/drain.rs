//! Draining: nothing is lost, nothing waits for a lease to expire.

use crate::echo::echoing;
use crate::world::{World, config, eventually, quick};
use haul_core::{Job, Span};
use haul_worker::{HandlerError, JobContext};
use std::{
    sync::atomic::Ordering::SeqCst,
    time::{Duration, Instant},
};

#[tokio::test]
async fn running_handlers_may_end_and_what_has_not_started_goes_back_at_once() {
    let world = World::new();
    let jobs: Vec<Job> = (0..50).map(|_| world.job("echo", r#"{"sleep": "400ms"}"#, quick(3))).collect();
    world.accept(jobs).await;
    let mut config = config();
    config.concurrency = 3;
    let worker = world.start(echoing(world.builder()).config(config));
    eventually("three run", async || (world.stats("default", &["echo"]).await.leased >= 3).then_some(())).await;
    let began = Instant::now();
    worker.end().await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(3), "took {:?}", began.elapsed());
    let stats = world.stats("default", &["echo"]).await;
    assert_eq!((stats.ready, stats.leased, stats.delayed), (47, 0, 0));
}

#[tokio::test]
async fn a_handler_that_outlasts_the_drain_is_stopped_and_another_worker_runs_it_at_once() {
    let world = World::new();
    let mut config = config();
    config.drain = Span::from_ms(100);
    config.lease = Span::from_ms(60_000);
    let first = world.start(
        world
            .builder()
            .config(config)
            .handler("long", async |_, (): ()| std::future::pending::<Result<(), HandlerError>>().await),
    );
    let id = world.submit_with("long", "null", quick(1)).await;
    eventually("it runs", async || (world.stats("default", &["long"]).await.leased == 1).then_some(())).await;
    first.end().await.unwrap();
    assert_eq!(world.look(id).await.failure_count, 0);
    let second = world.start(world.builder().handler("long", async |job: JobContext, (): ()| Ok(job.attempt())));
    assert_eq!(world.succeeded(id).await, serde_json::json!(1));
    second.end().await.unwrap();
}

#[tokio::test]
async fn a_handler_that_finishes_when_told_is_recorded() {
    let world = World::new();
    let mut config = config();
    config.drain = Span::from_ms(50);
    let worker = world.start(world.builder().config(config).handler("polite", async |job: JobContext, (): ()| {
        job.cancelled().await;
        Ok("saved")
    }));
    let id = world.submit("polite", "null").await;
    eventually("it runs", async || (world.stats("default", &["polite"]).await.leased == 1).then_some(())).await;
    worker.end().await.unwrap();
    assert_eq!(world.succeeded(id).await, serde_json::json!("saved"));
    assert_eq!(world.stats("default", &["polite"]).await.leased, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_handler_that_blocks_its_thread_holds_up_the_drain_no_longer_than_allowed() {
    let world = World::new();
    let mut config = config();
    config.drain = Span::from_ms(100);
    let worker = world.start(world.builder().config(config).handler("deaf", async |_, (): ()| {
        std::thread::sleep(Duration::from_secs(6));
        Ok(())
    }));
    let id = world.submit("deaf", "null").await;
    eventually("it runs", async || (world.stats("default", &["deaf"]).await.leased == 1).then_some(())).await;
    let began = Instant::now();
    worker.end().await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(4), "took {:?}", began.elapsed());
    assert_eq!(world.stats("default", &["deaf"]).await.leased, 0, "given back");
    assert_eq!(world.look(id).await.outcome, None);
}

#[tokio::test]
async fn a_worker_that_has_nothing_to_do_ends_at_once() {
    let world = World::new();
    let worker = world.start(echoing(world.builder()));
    let began = Instant::now();
    worker.end().await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(1), "took {:?}", began.elapsed());
}

#[tokio::test]
async fn what_a_claim_under_way_brings_is_given_back_too() {
    let world = World::new();
    world.dispatch.claim_answer_ms.store(400, SeqCst);
    let jobs: Vec<Job> = (0..20).map(|_| world.job("echo", "1", quick(3))).collect();
    world.accept(jobs).await;
    let worker = world.start(echoing(world.builder()));
    eventually("claimed", async || (world.stats("default", &["echo"]).await.leased == 20).then_some(())).await;
    worker.end().await.unwrap();
    assert_eq!(world.stats("default", &["echo"]).await.ready, 20);
}

#[tokio::test]
async fn a_draining_workers_wake_ups_go_to_another() {
    let world = World::new();
    let first = world.start(echoing(world.builder()));
    let long = world.submit("echo", r#"{"sleep": "2s"}"#).await;
    eventually("it runs", async || (world.stats("default", &["echo"]).await.leased == 1).then_some(())).await;
    let second = world.start(echoing(world.builder()));
    // Both are idle by now, the first one for longer.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let draining = tokio::spawn(first.end());
    tokio::time::sleep(Duration::from_millis(100)).await;
    let began = Instant::now();
    let id = world.submit("echo", "1").await;
    world.succeeded(id).await;
    assert!(began.elapsed() < Duration::from_secs(1), "took {:?}", began.elapsed());
    assert_eq!(world.look(long).await.outcome, None);
    draining.await.unwrap().unwrap();
    second.end().await.unwrap();
}
