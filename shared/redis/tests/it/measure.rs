//! Memory per ticket, which is promised, and rates, which are measured on demand:
//! `cargo test --release -p haul-redis -- --ignored --nocapture rates`.

use crate::world::{Worker, connect, from_now, kind, queue_on, ticket, tickets};
use haul_core::{
    Dispatch, Priority,
    dispatch::{Next, Settlement, Ticket},
};
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
    let a = kind("a");
    for backlog in [10_000, 100_000, 1_000_000] {
        let queue = queue_on(&dispatch, std::slice::from_ref(&a)).await;
        let all = tickets(&a, backlog);
        let begun = Instant::now();
        for batch in all.chunks(500) {
            dispatch.enqueue(&queue, batch).await.unwrap();
        }
        let enqueue = per_second(backlog, begun.elapsed());
        let worker = Worker::new(std::slice::from_ref(&a));
        let (mut drained, begun) = (0, Instant::now());
        loop {
            let leases = worker.take(&dispatch, &queue, 500).await;
            if leases.is_empty() {
                break;
            }
            drained += leases.len();
            let done: Vec<_> = leases.into_iter().map(|lease| Settlement { lease, next: Next::Done }).collect();
            dispatch.settle(&queue, &done).await.unwrap();
        }
        assert_eq!(drained, backlog);
        println!("{backlog}: enqueue {enqueue}/s, claim + settle {}/s", per_second(drained, begun.elapsed()));
    }
    println!("{}", server.cli(&["INFO", "commandstats"]).unwrap());
}

fn per_second(count: usize, took: Duration) -> u64 {
    (count as f64 / took.as_secs_f64()) as u64
}
