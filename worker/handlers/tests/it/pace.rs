//! Calls at the pace that their destinations can take, with a real worker and small HTTP servers.

use crate::world::{World, config, quick};
use haul_core::{Config, JobId, JobOptions, Pace, Span, pace::Breaker};
use haul_handlers::Secrets;
use haul_testkit::{
    http::{Reply, Sink},
    wait,
};
use serde_json::json;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

const LIMIT: Duration = Duration::from_secs(30);

/// Breakers that open and try again soon.
fn hasty(in_flight: u32) -> Config {
    let mut config = config();
    let (base, cap) = (Span::from_ms(100), Span::from_ms(300));
    config.pace.failures = 2;
    (config.pace.open_base, config.pace.open_cap, config.pace.in_flight) = (base, cap, in_flight);
    config.worker.concurrency = 10;
    config
}

async fn call(world: &World, sink: &Sink, options: JobOptions) -> JobId {
    world.submit("http.request", &json!({"url": sink.url("/")}), options).await
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_for_a_dead_destination_uses_up_no_attempts() {
    let is_dead = Arc::new(AtomicBool::new(true));
    let dead = is_dead.clone();
    let answer = move || Reply::status(if dead.load(Ordering::Relaxed) { 503 } else { 200 });
    let sink = Sink::answering(move |_| answer()).await.unwrap();
    let world = World::with(hasty(4), Secrets::default()).await;
    let mut jobs = Vec::new();
    for _ in 0..40 {
        jobs.push(call(&world, &sink, quick(20)).await);
    }
    let calls = sink.wait_requests(8, LIMIT).await.unwrap().len();
    let mut failures = 0;
    for job in &jobs {
        failures += world.look(*job).await.failures.len();
    }
    let calls_later = sink.requests().len();
    assert!(failures <= calls_later, "{failures} attempts were used up by {calls_later} calls");
    assert!(calls <= 20, "{calls} calls to a destination that is down");
    is_dead.store(false, Ordering::Relaxed);
    for job in jobs {
        world.succeeded(job).await;
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_that_hangs_takes_up_its_places_and_no_more() {
    let hanging = Sink::answering(|_| Reply::hang()).await.unwrap();
    let healthy = Sink::start().await.unwrap();
    let world = World::with(hasty(3), Secrets::default()).await;
    for _ in 0..30 {
        call(&world, &hanging, quick(3)).await;
    }
    hanging.wait_requests(3, LIMIT).await.unwrap();
    for _ in 0..20 {
        let job = call(&world, &healthy, quick(3)).await;
        world.succeeded(job).await;
    }
    assert_eq!(hanging.requests().len(), 3, "of ten slots");
    drop(hanging);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_runs_out_of_time_gives_its_permit_back_and_counts() {
    let hanging = Sink::answering(|_| Reply::hang()).await.unwrap();
    let world = World::with(hasty(2), Secrets::default()).await;
    for _ in 0..2 {
        call(&world, &hanging, JobOptions { timeout: Span::from_ms(300), ..quick(2) }).await;
    }
    wait::until("an open breaker", LIMIT, async || {
        let seen = world.pace.list(10).await.unwrap();
        seen.iter().any(|sight| sight.breaker != Breaker::Closed).then_some(())
    })
    .await;
    world.end().await;
}
