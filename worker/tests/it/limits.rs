//! Slots, kinds and queues: what runs at a time, and whose turn it is.

use crate::echo::echoing;
use crate::world::{World, config, eventually, queue, quick};
use haul_core::{Job, Kind, Queue};
use haul_worker::{BuildError, HandlerError, JobContext, Worker};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

#[derive(Default)]
struct Level {
    now: AtomicUsize,
    most: AtomicUsize,
}

async fn measured(job: JobContext, pause_ms: u64) -> Result<(), HandlerError> {
    let level = job.data::<Arc<Level>>()?;
    level.most.fetch_max(level.now.fetch_add(1, SeqCst) + 1, SeqCst);
    tokio::time::sleep(Duration::from_millis(pause_ms)).await;
    level.now.fetch_sub(1, SeqCst);
    Ok(())
}

#[tokio::test]
async fn no_more_attempts_run_than_there_are_slots() {
    let world = World::new();
    let level = Arc::new(Level::default());
    let jobs: Vec<Job> = (0..60).map(|_| world.job("measured", "5", quick(3))).collect();
    let ids: Vec<_> = jobs.iter().map(|job| job.id).collect();
    world.accept(jobs).await;
    let mut config = config();
    config.concurrency = 7;
    let worker = world.start(world.builder().config(config).data(level.clone()).handler("measured", measured));
    for id in ids {
        world.succeeded(id).await;
    }
    worker.end().await.unwrap();
    assert_eq!(level.most.load(SeqCst), 7);
}

#[tokio::test]
async fn a_kind_at_its_limit_starves_no_other() {
    let world = World::new();
    let level = Arc::new(Level::default());
    let slow: Vec<Job> = (0..40).map(|_| world.job("measured", "50", quick(3))).collect();
    let slow_ids: Vec<_> = slow.iter().map(|job| job.id).collect();
    world.accept(slow).await;
    let mut config = config();
    config.kind_concurrency.insert(Kind::new("measured").unwrap(), 2);
    let builder = echoing(world.builder().config(config).data(level.clone()).handler("measured", measured));
    let worker = world.start(builder);
    eventually("slow ones run", async || (level.now.load(SeqCst) == 2).then_some(())).await;
    let quick_one = world.submit("echo", "1").await;
    world.succeeded(quick_one).await;
    assert_eq!(world.look(slow_ids[39]).await.outcome, None, "the quick one went ahead");
    for id in slow_ids {
        world.succeeded(id).await;
    }
    worker.end().await.unwrap();
    assert_eq!(level.most.load(SeqCst), 2);
}

#[tokio::test]
async fn tickets_of_a_kind_that_nobody_handles_wait_and_use_up_nothing() {
    let world = World::new();
    let strange = world.submit("strange", "1").await;
    let worker = world.start(echoing(world.builder()));
    let known = world.submit("echo", "1").await;
    world.succeeded(known).await;
    assert_eq!(world.stats("default", &["strange"]).await.ready, 1);
    assert_eq!(world.look(strange).await.failure_count, 0);
    worker.end().await.unwrap();
}

#[tokio::test]
async fn queues_are_served_by_weight_and_others_left_alone() {
    let world = World::new();
    let order: Arc<Mutex<Vec<String>>> = Arc::default();
    for name in ["a", "b", "c"] {
        let jobs = (0..200).map(|_| Job { queue: Queue::new(name).unwrap(), ..world.job("note", "null", quick(3)) });
        world.accept(jobs.collect()).await;
    }
    let mut config = config();
    config.concurrency = 4;
    config.queues = vec![(Queue::new("a").unwrap(), 1), (Queue::new("b").unwrap(), 3)];
    let builder = world.builder().config(config).data(order.clone());
    let worker = world.start(builder.handler("note", async |job: JobContext, (): ()| {
        job.data::<Arc<Mutex<Vec<String>>>>()?.lock().unwrap().push(job.queue().to_string());
        tokio::time::sleep(Duration::from_millis(2)).await;
        Ok(())
    }));
    eventually("all of a and b", async || (order.lock().unwrap().len() == 400).then_some(())).await;
    worker.end().await.unwrap();
    let order = order.lock().unwrap().clone();
    let of_b = order[..120].iter().filter(|name| *name == "b").count();
    assert!((75..=105).contains(&of_b), "{of_b} of the first 120 were b's");
    assert!(!order.contains(&"c".to_owned()));
    assert_eq!(world.stats("c", &["note"]).await.ready, 200);
}

#[tokio::test]
async fn without_names_queues_that_come_later_are_served_too() {
    let world = World::new();
    let worker = world.start(echoing(world.builder()));
    let first = world.submit("echo", "1").await;
    world.succeeded(first).await;
    let later = Job { queue: Queue::new("later").unwrap(), ..world.job("echo", "2", quick(3)) };
    let id = later.id;
    world.accept(vec![later]).await;
    world.succeeded(id).await;
    worker.end().await.unwrap();
    assert_eq!(world.look(id).await.job.queue_ref(), queue("later"));
}

#[tokio::test]
async fn two_workers_share_the_work() {
    let world = World::new();
    let (first, second) = (Arc::new(Level::default()), Arc::new(Level::default()));
    let mut config = config();
    config.concurrency = 2;
    let worker = |level: &Arc<Level>| {
        world.start(world.builder().config(config.clone()).data(level.clone()).handler("measured", measured))
    };
    let workers = [worker(&first), worker(&second)];
    let jobs: Vec<Job> = (0..40).map(|_| world.job("measured", "20", quick(3))).collect();
    let ids: Vec<_> = jobs.iter().map(|job| job.id).collect();
    world.accept(jobs).await;
    for id in ids {
        world.succeeded(id).await;
    }
    for worker in workers {
        worker.end().await.unwrap();
    }
    assert_eq!((first.most.load(SeqCst), second.most.load(SeqCst)), (2, 2));
}

#[tokio::test]
async fn a_worker_that_cannot_work_is_refused_with_a_reason() {
    let world = World::new();
    let refused = |builder: haul_worker::WorkerBuilder| builder.build().err().map(|error| error.to_string()).unwrap();
    assert_eq!(refused(world.builder()), "the worker has no handlers");
    assert_eq!(
        refused(echoing(Worker::builder())),
        "the worker has no ledger; give it one with `Worker::builder().ledger(..)`"
    );
    assert_eq!(refused(echoing(echoing(world.builder()))), "the kind \"echo\" has two handlers");
    let bad = world.builder().handler("a b", async |_, (): ()| Ok(()));
    assert!(matches!(bad.build(), Err(BuildError::Kind { kind, .. }) if kind == "a b"));
}
