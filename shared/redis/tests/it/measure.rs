//! Memory per ticket, which is promised, and rates, which are measured on demand:
//! `cargo test --release -p haul-redis -- --ignored --nocapture rates`.

use crate::world::{Worker, connect, from_now, kind, queue_on, ticket, tickets};
use haul_core::{
    Dispatch, Priority, QueueRef,
    dispatch::{Next, Settlement, Ticket},
};
use haul_redis::RedisDispatch;
use haul_testkit::redis::{Options, Server};
use std::time::{Duration, Instant};

const READY_BYTES_MAX: u64 = 40;

fn used_bytes(server: &Server) -> u64 {
    let info = server.cli(&["INFO", "memory"]).unwrap();
    let line = info.lines().find_map(|line| line.strip_prefix("used_memory:")).unwrap();
    line.trim().parse().unwrap()
}

async fn bytes_per_ticket(change: impl Fn(&mut Ticket, u64)) -> u64 {
    const COUNT: u64 = 100_000;
    let server = Server::start(&Options::default()).unwrap();
    let dispatch = connect(&server.url()).await;
    let a = kind("a");
    let queue = queue_on(&dispatch, std::slice::from_ref(&a)).await;
    dispatch.enqueue(&queue, &[ticket(&a)]).await.unwrap();
    let before = used_bytes(&server);
    let mut all = tickets(&a, COUNT as usize);
    for (n, ticket) in (0..).zip(&mut all) {
        change(ticket, n);
    }
    dispatch.enqueue(&queue, &all).await.unwrap();
    (used_bytes(&server) - before) / COUNT
}

#[tokio::test]
async fn a_ready_ticket_takes_at_most_forty_bytes() {
    let bytes = bytes_per_ticket(|ticket, n| ticket.priority = Priority::new((n % 10) as u8).unwrap()).await;
    println!("{bytes} bytes per ready ticket");
    assert!(bytes <= READY_BYTES_MAX, "{bytes}");
}

#[tokio::test]
async fn a_delayed_ticket_takes_what_a_sorted_set_takes() {
    let hour_ms = 3_600_000;
    let bytes = bytes_per_ticket(|ticket, n| {
        ticket.due = Some(from_now(Duration::from_millis(hour_ms + n * 7_919 % hour_ms)));
    });
    let bytes = bytes.await;
    println!("{bytes} bytes per delayed ticket");
    assert!(bytes <= 140, "{bytes}");
}

#[tokio::test]
#[ignore = "a measurement, not a promise"]
async fn rates() {
    let server = Server::start(&Options::default()).unwrap();
    let dispatch = connect(&server.url()).await;
    let kinds: Vec<_> = (0..20).map(|n| kind(&format!("kind-{n}"))).collect();
    println!("batches of 500, one caller at a time");
    for (backlog, kind_count, delayed) in [
        (10_000, 1, false),
        (100_000, 1, false),
        (1_000_000, 1, false),
        (100_000, 5, false),
        (100_000, 20, false),
        (100_000, 1, true),
        (1_000_000, 1, true),
    ] {
        let kinds = &kinds[..kind_count];
        let queue = queue_on(&dispatch, kinds).await;
        let mut all: Vec<_> = (0..backlog).map(|n| ticket(&kinds[n % kind_count])).collect();
        // Late enough that all are in before the first is due, early enough to wait for.
        let due = from_now(Duration::from_millis(1_000 + backlog as u64 / 100));
        for ticket in all.iter_mut().filter(|_| delayed) {
            ticket.due = Some(due);
        }
        let begun = Instant::now();
        for batch in all.chunks(500) {
            dispatch.enqueue(&queue, batch).await.unwrap();
        }
        let enqueue = per_second(backlog, begun.elapsed());
        if delayed {
            tokio::time::sleep(due.since(from_now(Duration::ZERO))).await;
        }
        let drained = drain(&dispatch, &queue, &Worker::new(kinds), backlog, 500).await;
        let what = if delayed { "delayed" } else { "ready" };
        println!("{backlog} {what}, {kind_count} kinds: enqueue {enqueue}/s, claim + settle {drained}/s");
    }
    for kind_count in [1, 20] {
        let kinds = &kinds[..kind_count];
        let queue = queue_on(&dispatch, kinds).await;
        dispatch.enqueue(&queue, &tickets(&kinds[0], 5_000)).await.unwrap();
        let drained = drain(&dispatch, &queue, &Worker::new(kinds), 5_000, 1).await;
        println!("one at a time, {kind_count} kinds: claim + settle {drained}/s");
    }
}

async fn drain(dispatch: &RedisDispatch, queue: &QueueRef, worker: &Worker, count: usize, batch: usize) -> u64 {
    let (mut left, begun) = (count, Instant::now());
    while left > 0 {
        let leases = worker.take(dispatch, queue, batch).await;
        left -= leases.len();
        let done: Vec<_> = leases.into_iter().map(|lease| Settlement { lease, next: Next::Done }).collect();
        dispatch.settle(queue, &done).await.unwrap();
    }
    per_second(count, begun.elapsed())
}

fn per_second(count: usize, took: Duration) -> u64 {
    (count as f64 / took.as_secs_f64()) as u64
}
