//! Leases: kept while a handler runs, and respected when they are gone.

use crate::echo::echoing;
use crate::{
    faulty::FaultyDispatch,
    world::{World, config, eventually, queue, quick},
};
use haul_core::{
    Dispatch, FinalState, ProcessId, Span,
    dispatch::{ClaimRequest, LeaseToken},
};
use haul_worker::{HandlerError, JobContext};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_may_run_for_longer_than_a_lease() {
    let world = World::new();
    let mut config = config();
    config.lease = Span::from_ms(600);
    let workers = [0, 1].map(|_| world.start(echoing(world.builder().config(config.clone()))));
    let id = world.submit("echo", r#"{"sleep": "2s"}"#).await;
    assert_eq!(world.outcome(id).await.attempt, 1);
    for worker in workers {
        worker.end().await.unwrap();
    }
    assert_eq!(world.look(id).await.failure_count, 0);
}

/// A handler that is told to stop and then ends as its payload says.
async fn interrupted(job: JobContext, succeed: bool) -> Result<(), HandlerError> {
    job.cancelled().await;
    job.data::<Arc<AtomicUsize>>()?.fetch_add(1, SeqCst);
    if succeed { Ok(()) } else { Err(HandlerError::do_not_retry("interrupted")) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_lost_its_lease_records_a_success_but_never_a_failure() {
    let world = World::new();
    let told = Arc::new(AtomicUsize::new(0));
    let mut config = config();
    config.lease = Span::from_ms(600);
    let worker = world.start(world.builder().config(config).data(told.clone()).handler("interrupted", interrupted));
    let good = world.submit("interrupted", "true").await;
    let bad = world.submit("interrupted", "false").await;
    eventually("both run", async || (world.stats("default", &["interrupted"]).await.leased == 2).then_some(())).await;
    world.dispatch.deny_extensions.store(true, SeqCst);
    eventually("both are told", async || (told.load(SeqCst) >= 2).then_some(())).await;
    assert_eq!(world.outcome(good).await.state, FinalState::Succeeded);
    worker.kill().await;
    let record = world.look(bad).await;
    assert_eq!((record.outcome, record.failure_count), (None, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leases_in_a_lost_queue_are_asserted_again_at_once_and_repair_is_told() {
    let world = World::new();
    let signal = Arc::new(tokio::sync::Notify::new());
    let mut config = config();
    config.lease = Span::from_ms(60_000);
    let builder = echoing(world.builder().config(config).repair_signal(signal.clone()));
    let worker = world.start(builder);
    let id = world.submit("echo", r#"{"sleep": "2500ms"}"#).await;
    eventually("it runs", async || (world.stats("default", &["echo"]).await.leased == 1).then_some(())).await;
    let before = world.dispatch.extend_calls.load(SeqCst);
    world.dispatch.says_lost.store(true, SeqCst);
    tokio::time::timeout(Duration::from_millis(1_500), signal.notified()).await.expect("repair is told");
    eventually("its lease is asserted", async || (world.dispatch.extend_calls.load(SeqCst) > before).then_some(()))
        .await;
    world.dispatch.says_lost.store(false, SeqCst);
    world.succeeded(id).await;
    worker.end().await.unwrap();
}

#[tokio::test]
async fn a_worker_that_holds_nothing_extends_nothing() {
    let world = World::new();
    let mut config = config();
    config.lease = Span::from_ms(300);
    let worker = world.start(echoing(world.builder().config(config)));
    let id = world.submit_with("echo", "1", quick(1)).await;
    world.succeeded(id).await;
    eventually("settled", async || (world.stats("default", &["echo"]).await.leased == 0).then_some(())).await;
    let before = world.dispatch.extend_calls.load(SeqCst);
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(world.dispatch.extend_calls.load(SeqCst), before);
    worker.end().await.unwrap();
}

/// Stops the whole process, as a debugger or a moved virtual machine does, until another worker has taken the job over.
async fn stopped(job: JobContext, (): ()) -> Result<(), HandlerError> {
    let dispatch = job.data::<Arc<FaultyDispatch>>()?;
    std::thread::sleep(Duration::from_millis(1_000));
    let request = ClaimRequest {
        queue: &queue("default"),
        kinds: &[(job.kind().clone(), 1)],
        limit: 1,
        worker: ProcessId::random(),
        token: LeaseToken::random(),
        lease: Duration::from_secs(60),
    };
    assert_eq!(dispatch.inner.claim(&request).await?.tickets.len(), 1, "its lease has expired");
    Err(HandlerError::do_not_retry("too late to tell"))
}

#[tokio::test(flavor = "current_thread")]
async fn a_process_that_was_stopped_for_longer_than_its_lease_records_no_failure() {
    let world = World::new();
    let mut config = config();
    config.lease = Span::from_ms(600);
    let builder = world.builder().config(config).data(world.dispatch.clone());
    let worker = world.start(builder.handler("stopped", stopped));
    let id = world.submit("stopped", "null").await;
    eventually("it has ended", async || (world.dispatch.extend_calls.load(SeqCst) > 0).then_some(())).await;
    worker.end().await.unwrap();
    let record = world.look(id).await;
    assert_eq!((record.outcome, record.failure_count), (None, 0));
    assert_eq!(world.stats("default", &["stopped"]).await.leased, 1, "the other one's lease");
}

/// Stops the whole process in the middle of a handler; a thread beside it plays the other worker, which takes the job over
/// if `is_taken`. Its second effect comes after an await, as those of real handlers do.
async fn stopped_between_effects(job: JobContext, is_taken: bool) -> Result<(), HandlerError> {
    let effects = job.data::<Arc<AtomicUsize>>()?;
    effects.fetch_add(1, SeqCst);
    let dispatch = job.data::<Arc<FaultyDispatch>>()?;
    std::thread::sleep(Duration::from_millis(1_000));
    if is_taken {
        let request = ClaimRequest {
            queue: &queue("default"),
            kinds: &[(job.kind().clone(), 1)],
            limit: 1,
            worker: ProcessId::random(),
            token: LeaseToken::random(),
            lease: Duration::from_secs(60),
        };
        assert_eq!(dispatch.inner.claim(&request).await?.tickets.len(), 1, "its lease has expired");
    }
    tokio::task::yield_now().await;
    effects.fetch_add(1, SeqCst);
    Ok(())
}

async fn effects_of_a_stopped_handler(is_taken: bool) -> (World, haul_core::JobId, usize) {
    let world = World::new();
    let effects = Arc::new(AtomicUsize::new(0));
    let mut config = config();
    config.lease = Span::from_ms(600);
    let builder = world.builder().config(config).data(world.dispatch.clone()).data(effects.clone());
    let worker = world.start(builder.handler("stopped", stopped_between_effects));
    let id = world.submit("stopped", if is_taken { "true" } else { "false" }).await;
    eventually("it began", async || (effects.load(SeqCst) > 0).then_some(())).await;
    eventually("its lease was looked at", async || (world.dispatch.extend_calls.load(SeqCst) > 0).then_some(())).await;
    worker.end().await.unwrap();
    (world, id, effects.load(SeqCst))
}

#[tokio::test(flavor = "current_thread")]
async fn a_handler_that_wakes_without_its_lease_has_no_further_effect() {
    let (world, id, effects) = effects_of_a_stopped_handler(true).await;
    assert_eq!(effects, 1, "the second effect belongs to the other worker");
    assert_eq!(world.look(id).await.outcome, None);
}

#[tokio::test(flavor = "current_thread")]
async fn a_handler_that_wakes_and_still_has_its_lease_goes_on() {
    let (world, id, effects) = effects_of_a_stopped_handler(false).await;
    assert_eq!(effects, 2);
    assert_eq!(world.outcome(id).await.state, FinalState::Succeeded);
}
