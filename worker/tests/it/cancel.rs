//! Cancelling what runs.

use crate::echo::echoing;
use crate::world::{World, eventually, quick};
use haul_core::{FinalState, Ledger, Tenant};
use haul_worker::{HandlerError, JobContext};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_handler_is_told_within_a_second_and_its_failure_is_not_recorded() {
    let world = World::new();
    let told = Arc::new(AtomicBool::new(false));
    let worker = world.start(world.builder().data(told.clone()).handler("long", async |job: JobContext, (): ()| {
        job.cancelled().await;
        job.data::<Arc<AtomicBool>>()?.store(true, SeqCst);
        Err::<(), _>(HandlerError::retry("interrupted"))
    }));
    let id = world.submit("long", "null").await;
    eventually("it runs", async || (world.stats("default", &["long"]).await.leased == 1).then_some(())).await;
    let began = Instant::now();
    world.ledger.cancel(&Tenant::default(), &[id], world.clock.now()).await.unwrap();
    eventually("it is told", async || told.load(SeqCst).then_some(())).await;
    assert!(began.elapsed() < Duration::from_millis(1_200), "told after {:?}", began.elapsed());
    eventually("its lease is gone", async || (world.stats("default", &["long"]).await.leased == 0).then_some(())).await;
    worker.end().await.unwrap();
    let record = world.look(id).await;
    assert_eq!((record.outcome.unwrap().state, record.failure_count), (FinalState::Cancelled, 0));
}

#[tokio::test]
async fn nothing_is_asked_while_nothing_runs() {
    let world = World::new();
    let worker = world.start(echoing(world.builder()));
    let id = world.submit_with("echo", "1", quick(1)).await;
    world.succeeded(id).await;
    let before = world.ledger.settled_calls.load(SeqCst);
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    assert_eq!(world.ledger.settled_calls.load(SeqCst), before);
    worker.end().await.unwrap();
}
