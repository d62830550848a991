//! How one attempt can end, and what the ledger says of it afterwards.

use crate::echo::echoing;
use crate::world::{World, eventually, quick};
use haul_core::{FinalState, JobOptions, Span, Timestamp};
use haul_worker::{HandlerError, JobContext};
use serde::Deserialize;
use serde_json::json;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

#[derive(Deserialize)]
struct Sum {
    a: i64,
    b: i64,
}

async fn add(_: JobContext, sum: Sum) -> Result<i64, HandlerError> {
    Ok(sum.a + sum.b)
}

#[tokio::test]
async fn a_typed_handlers_result_becomes_the_outcome() {
    let world = World::new();
    let worker = world.start(world.builder().handler("add", add));
    let id = world.submit("add", r#"{"a": 2, "b": 3}"#).await;
    assert_eq!(world.succeeded(id).await, json!(5));
    assert_eq!(world.outcome(id).await.attempt, 1);
    worker.end().await.unwrap();
    assert_eq!(world.stats("default", &["add"]).await.leased, 0);
}

#[tokio::test]
async fn a_payload_that_does_not_decode_fails_its_own_job_at_once_and_no_other() {
    let world = World::new();
    let bad = world.job("add", r#"{"a": "two"}"#, quick(9));
    let good = world.job("add", r#"{"a": 2, "b": 2}"#, quick(9));
    let (bad_id, good_id) = (bad.id, good.id);
    world.accept(vec![bad, good]).await;
    let worker = world.start(world.builder().handler("add", add));
    let (attempt, message) = world.died(bad_id).await;
    assert_eq!(attempt, 1);
    assert!(message.starts_with("its payload is not what the handler takes: invalid type: string"), "{message}");
    assert_eq!(world.succeeded(good_id).await, json!(4));
    worker.end().await.unwrap();
}

#[tokio::test]
async fn a_failing_job_is_tried_again_until_it_succeeds() {
    let world = World::new();
    let worker = world.start(echoing(world.builder()));
    let payload = r#"{"fail": 2, "kept": [1, "a",  null]}"#;
    let id = world.submit("echo", payload).await;
    let outcome = world.outcome(id).await;
    assert_eq!((outcome.state, outcome.attempt), (FinalState::Succeeded, 3));
    assert_eq!(outcome.result.unwrap(), payload.as_bytes(), "byte for byte");
    let failures = world.look(id).await.failures;
    assert_eq!(failures.iter().map(|failure| failure.attempt).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(failures[0].error.message, "asked to fail, attempt 1 of 2");
    assert!(failures.iter().all(|failure| failure.retry_at >= failure.at));
    worker.end().await.unwrap();
}

#[tokio::test]
async fn a_job_that_always_fails_is_dead_after_its_last_attempt() {
    let world = World::new();
    let worker = world.start(echoing(world.builder()));
    let id = world.submit("echo", r#"{"fail": true}"#).await;
    assert_eq!(world.died(id).await, (3, "asked to fail".to_owned()));
    assert_eq!(world.look(id).await.failure_count, 2);
    let odd = world.submit("echo", r#"{"sleep": "soon"}"#).await;
    assert_eq!(world.died(odd).await.0, 1);
    worker.end().await.unwrap();
}

#[tokio::test]
async fn a_panic_is_a_failure_of_its_own_job() {
    let world = World::new();
    let worker = world.start(world.builder().handler("add", add).handler("boom", async |_, (): ()| -> Result<(), _> {
        panic!("the {} fell off", "wheel");
    }));
    let id = world.submit("boom", "null").await;
    assert_eq!(world.died(id).await, (3, "the handler panicked: the wheel fell off".to_owned()));
    let next = world.submit("add", r#"{"a": 1, "b": 1}"#).await;
    assert_eq!(world.succeeded(next).await, json!(2));
    worker.end().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attempt_that_takes_too_long_is_told_to_stop_and_fails() {
    let world = World::new();
    let told = Arc::new(AtomicU32::new(0));
    let seen = told.clone();
    let worker = world.start(world.builder().data(seen).handler("slow", async |job: JobContext, (): ()| {
        job.cancelled().await;
        job.data::<Arc<AtomicU32>>()?.fetch_add(1, SeqCst);
        std::future::pending::<Result<(), HandlerError>>().await
    }));
    let options = JobOptions { timeout: Span::from_ms(50), ..quick(2) };
    let id = world.submit_with("slow", "null", options).await;
    assert_eq!(world.died(id).await, (2, "the handler took longer than its 50ms".to_owned()));
    assert_eq!(told.load(SeqCst), 2);
    worker.end().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_that_never_yields_holds_up_nobody_else() {
    let world = World::new();
    let worker = world.start(world.builder().handler("add", add).handler("spin", async |_, (): ()| {
        std::thread::sleep(Duration::from_secs(2));
        Ok(())
    }));
    let spinning = world.submit("spin", "null").await;
    eventually("the spin is leased", async || (world.stats("default", &["spin"]).await.leased == 1).then_some(()))
        .await;
    let id = world.submit("add", r#"{"a": 1, "b": 1}"#).await;
    assert_eq!(world.succeeded(id).await, json!(2));
    assert_eq!(world.look(spinning).await.outcome, None);
    worker.end().await.unwrap();
}

#[tokio::test]
async fn a_handler_says_what_is_to_follow() {
    let world = World::new();
    let worker = world.start(world.builder().handler("ask", async |job: JobContext, wish: String| -> Result<(), _> {
        Err(match wish.as_str() {
            "never" => HandlerError::do_not_retry("no such order").with_detail("order 7"),
            "after" if job.attempt() == 1 => HandlerError::retry_after(Duration::from_millis(300), "busy"),
            "at" if job.attempt() == 1 => HandlerError::retry_at(job.now().plus(Duration::from_millis(300)), "closed"),
            _ => return Ok(()),
        })
    }));
    let [never, after, at] = [
        world.submit_with("ask", r#""never""#, quick(9)).await,
        world.submit_with("ask", r#""after""#, JobOptions::default()).await,
        world.submit_with("ask", r#""at""#, quick(9)).await,
    ];
    assert_eq!(world.died(never).await, (1, "no such order".to_owned()));
    assert_eq!(world.outcome(never).await.error.unwrap().detail.unwrap(), "order 7");
    for id in [after, at] {
        let outcome = world.outcome(id).await;
        let failure = world.look(id).await.failures.remove(0);
        assert_eq!(outcome.attempt, 2);
        assert!(failure.retry_at.since(failure.at) >= Duration::from_millis(290));
        assert!(outcome.finished_at >= failure.retry_at);
    }
    worker.end().await.unwrap();
}

#[tokio::test]
async fn deferring_uses_up_no_attempt() {
    let world = World::new();
    let runs = Arc::new(AtomicU32::new(0));
    let worker = world.start(world.builder().data(runs.clone()).handler("wait", async |job: JobContext, (): ()| {
        match job.data::<Arc<AtomicU32>>()?.fetch_add(1, SeqCst) {
            0..5 => Err(HandlerError::defer(Duration::from_millis(20))),
            _ => Ok(job.attempt()),
        }
    }));
    let id = world.submit_with("wait", "null", quick(1)).await;
    assert_eq!(world.succeeded(id).await, json!(1));
    assert_eq!(runs.load(SeqCst), 6);
    assert_eq!(world.look(id).await.failure_count, 0);
    worker.end().await.unwrap();
}

#[tokio::test]
async fn a_result_over_the_limit_fails_the_job_for_good() {
    let world = World::new();
    let mut config = crate::world::config();
    config.result_bytes_max = 100;
    let worker = world.start(echoing(world.builder()).config(config));
    let id = world.submit("echo", &json!("x".repeat(99)).to_string()).await;
    assert_eq!(world.died(id).await, (1, "its result has 101 bytes, at most 100 are kept".to_owned()));
    worker.end().await.unwrap();
}

#[tokio::test]
async fn a_deadline_ends_a_job_before_and_during_an_attempt() {
    let world = World::new();
    let before = |ms| JobOptions { deadline: Some(Timestamp::from_ms(world.clock.now().as_ms() + ms)), ..quick(9) };
    let late = world.submit_with("echo", "1", before(-1)).await;
    let cut = world.submit_with("echo", r#"{"sleep": "1m"}"#, before(700)).await;
    let worker = world.start(echoing(world.builder()));
    let (attempt, message) = world.died(late).await;
    assert_eq!(attempt, 0);
    assert!(message.starts_with("its deadline "), "{message}");
    let (attempt, message) = world.died(cut).await;
    assert_eq!(attempt, 1);
    assert!(message.starts_with("its deadline "), "{message}");
    worker.end().await.unwrap();
}

#[tokio::test]
async fn data_that_was_not_given_is_an_error_that_names_it() {
    let world = World::new();
    let worker =
        world.start(world.builder().handler("needy", async |job: JobContext, (): ()| Ok(job.data::<Vec<u8>>()?.len())));
    let id = world.submit_with("needy", "null", quick(1)).await;
    let (_, message) = world.died(id).await;
    assert!(message.contains("no data of type alloc::vec::Vec<u8>"), "{message}");
    worker.end().await.unwrap();
}
