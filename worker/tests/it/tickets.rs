//! A ticket is only a hint.

use crate::echo::echoing;
use crate::world::{World, config, eventually, queue, quick, ticket};
use haul_core::{Dispatch, FinalState, Job, JobOptions, Ledger, Tenant, ledger::Entry, ledger::Record};
use haul_worker::{HandlerError, JobContext};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

type Runs = Arc<Mutex<HashMap<haul_core::JobId, Vec<u32>>>>;

async fn note(job: JobContext, pause_ms: u64) -> Result<(), HandlerError> {
    job.data::<Runs>()?.lock().unwrap().entry(job.job_id()).or_default().push(job.attempt());
    tokio::time::sleep(Duration::from_millis(pause_ms)).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_jobs_each_start_once_however_many_tickets_they_have() {
    let world = World::new();
    let runs = Runs::default();
    let jobs: Vec<Job> = (0..5_000).map(|_| world.job("note", "1", quick(3))).collect();
    let tickets: Vec<_> = jobs.iter().map(ticket).collect();
    let ids: Vec<_> = jobs.iter().map(|job| job.id).collect();
    world.accept(jobs).await;
    let worker = world.start(world.builder().data(runs.clone()).handler("note", note));
    for tickets in tickets.chunks(1_000) {
        world.dispatch.enqueue(&queue("default"), tickets).await.unwrap();
    }
    for id in &ids {
        world.succeeded(*id).await;
    }
    worker.end().await.unwrap();
    let runs = runs.lock().unwrap().clone();
    assert_eq!(runs.len(), ids.len());
    assert!(runs.values().all(|attempts| attempts == &[1]));
    let stats = world.stats("default", &["note"]).await;
    assert_eq!((stats.leased, stats.delayed), (0, 0));
}

#[tokio::test]
async fn a_ticket_of_a_finished_or_unknown_job_is_dropped_without_a_run() {
    let world = World::new();
    let runs = Runs::default();
    let finished = world.job("note", "1", quick(3));
    let unknown = world.job("note", "1", quick(3));
    let (finished_id, tenant) = (finished.id, Tenant::default());
    world.accept(vec![finished]).await;
    let at = world.clock.now();
    let outcome =
        Record { job: finished_id, tenant, attempt: 1, at, entry: Entry::Succeeded(None), follow_ups: Vec::new() };
    world.ledger.record(&[outcome], haul_core::ProcessId::random()).await.unwrap();
    world.dispatch.enqueue(&queue("default"), &[ticket(&unknown)]).await.unwrap();
    let worker = world.start(world.builder().data(runs.clone()).handler("note", note));
    eventually("both tickets are gone", async || {
        let stats = world.stats("default", &["note"]).await;
        (stats.ready + stats.leased + stats.delayed == 0).then_some(())
    })
    .await;
    worker.end().await.unwrap();
    assert!(runs.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_ticket_that_comes_too_early_waits_for_its_jobs_time() {
    let world = World::new();
    let mut jobs = Vec::new();
    for ahead_ms in [300, 1_500] {
        let mut job = world.job("echo", "1", quick(3));
        job.run_at = job.created_at().plus(Duration::from_millis(ahead_ms));
        jobs.push(job);
    }
    let tickets: Vec<_> = jobs.iter().map(|job| haul_core::dispatch::Ticket { due: None, ..ticket(job) }).collect();
    world.accept(jobs.clone()).await;
    world.dispatch.enqueue(&queue("default"), &tickets).await.unwrap();
    let worker = world.start(echoing(world.builder()));
    for job in &jobs {
        let outcome = world.outcome(job.id).await;
        assert_eq!(outcome.state, FinalState::Succeeded);
        assert!(outcome.finished_at >= job.run_at, "{} before {}", outcome.finished_at, job.run_at);
    }
    worker.end().await.unwrap();
}

#[tokio::test]
async fn the_attempts_number_comes_from_the_ledger() {
    let world = World::new();
    let runs = Runs::default();
    let id = world.submit_with("note", "1", JobOptions::default()).await;
    let at = world.clock.now();
    let failures = (1..=4).map(|attempt| Record {
        job: id,
        tenant: Tenant::default(),
        attempt,
        at,
        entry: Entry::Failed(haul_core::JobError::new("before"), at),
        follow_ups: Vec::new(),
    });
    world.ledger.record(&failures.collect::<Vec<_>>(), haul_core::ProcessId::random()).await.unwrap();
    let worker = world.start(world.builder().data(runs.clone()).handler("note", note));
    assert_eq!(world.outcome(id).await.attempt, 5);
    worker.end().await.unwrap();
    assert_eq!(runs.lock().unwrap()[&id], [5]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_worker_asks_for_nothing_and_starts_a_new_job_at_once() {
    let world = World::new();
    let first = world.submit("echo", "1").await;
    let worker = world.start(echoing(world.builder()).config(config()));
    world.succeeded(first).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let before = world.dispatch.claim_calls.load(std::sync::atomic::Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(800)).await;
    let after = world.dispatch.claim_calls.load(std::sync::atomic::Ordering::SeqCst);
    assert!(after - before <= 1, "an idle worker claimed {} times", after - before);
    let began = std::time::Instant::now();
    let id = world.submit("echo", "2").await;
    world.succeeded(id).await;
    assert!(began.elapsed() < Duration::from_millis(500), "picked up after {:?}", began.elapsed());
    worker.end().await.unwrap();
}
