//! What goes wrong between us and the server, and on it.

use crate::world::{LONG, Worker, connect, eventually, ids, is_woken, kind, queue_on, tickets};
use haul_core::{
    Dispatch,
    dispatch::{DispatchError, Next, Settlement},
};
use haul_testkit::redis::{Options, Server};
use std::time::{Duration, Instant};

#[tokio::test]
async fn every_operation_survives_a_script_flush() {
    let server = Server::start(&Options::default()).unwrap();
    let dispatch = connect(&server.url()).await;
    let a = kind("a");
    let kinds = std::slice::from_ref(&a);
    let flush = || server.cli(&["SCRIPT", "FLUSH"]).unwrap();
    flush();
    let queue = queue_on(&dispatch, kinds).await;
    flush();
    dispatch.enqueue(&queue, &tickets(&a, 3)).await.unwrap();
    flush();
    let leases = Worker::new(kinds).take(&dispatch, &queue, 10).await;
    assert_eq!(leases.len(), 3);
    flush();
    assert_eq!(dispatch.extend(&queue, &leases, LONG).await.unwrap(), [true; 3]);
    flush();
    let done: Vec<_> = leases.into_iter().map(|lease| Settlement { lease, next: Next::Done }).collect();
    dispatch.settle(&queue, &done).await.unwrap();
    flush();
    assert_eq!(dispatch.stats(&queue, kinds).await.unwrap().leased, 0);
    flush();
    assert!(dispatch.lost(&[queue]).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_full_server_refuses_tickets_whole_and_can_still_be_drained() {
    let server = Server::start(&Options::default()).unwrap();
    let dispatch = connect(&server.url()).await;
    let a = kind("a");
    let kinds = std::slice::from_ref(&a);
    let queue = queue_on(&dispatch, kinds).await;
    let all = tickets(&a, 100);
    dispatch.enqueue(&queue, &all).await.unwrap();
    server.cli(&["CONFIG", "SET", "maxmemory", "1mb"]).unwrap();
    let error = dispatch.enqueue(&queue, &tickets(&a, 100)).await.unwrap_err();
    assert!(matches!(error, DispatchError::Unavailable(_)), "{error:?}");
    assert_eq!(dispatch.stats(&queue, kinds).await.unwrap().ready, 100, "nothing of it was taken");
    let worker = Worker::new(kinds);
    let (claim, token) = worker.claim(&dispatch, &queue, 100).await;
    assert_eq!(ids(&claim), all.iter().map(|ticket| ticket.id).collect::<Vec<_>>());
    let done =
        claim.tickets.iter().map(|claimed| Settlement { lease: crate::world::lease(claimed, token), next: Next::Done });
    dispatch.settle(&queue, &done.collect::<Vec<_>>()).await.unwrap();
    assert_eq!(dispatch.stats(&queue, kinds).await.unwrap(), Default::default());
}

#[tokio::test]
async fn calls_end_in_time_while_the_server_hangs_and_work_again_afterwards() {
    let mut server = Server::start(&Options::default()).unwrap();
    let dispatch = connect(&server.url()).await;
    let a = kind("a");
    let queue = queue_on(&dispatch, std::slice::from_ref(&a)).await;
    server.pause().unwrap();
    let begun = Instant::now();
    let error = dispatch.enqueue(&queue, &tickets(&a, 1)).await.unwrap_err();
    assert!(matches!(error, DispatchError::Unavailable(_)), "{error:?}");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    server.resume().unwrap();
    eventually(async || dispatch.enqueue(&queue, &tickets(&a, 1)).await.ok()).await;
}

#[tokio::test]
async fn a_server_that_is_down_fails_calls_quickly_and_is_used_again_when_it_is_back() {
    let mut server = Server::start(&Options::default()).unwrap();
    let dispatch = connect(&server.url()).await;
    let a = kind("a");
    let queue = queue_on(&dispatch, std::slice::from_ref(&a)).await;
    server.kill().unwrap();
    for _ in 0..3 {
        let begun = Instant::now();
        assert!(dispatch.enqueue(&queue, &tickets(&a, 1)).await.is_err());
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    }
    server.restart().unwrap();
    let begun = Instant::now();
    eventually(async || dispatch.enqueue(&queue, &tickets(&a, 1)).await.ok()).await;
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn wake_ups_that_were_missed_while_the_connection_was_away_are_made_up_for() {
    let server = Server::start(&Options::default()).unwrap();
    let dispatch = connect(&server.url()).await;
    let a = kind("a");
    let kinds = std::slice::from_ref(&a);
    let queue = queue_on(&dispatch, kinds).await;
    let worker = Worker::new(kinds);
    worker.claim(&dispatch, &queue, 10).await;
    server.cli(&["CLIENT", "KILL", "TYPE", "pubsub"]).unwrap();
    assert!(is_woken(&dispatch, &worker, &queue, Duration::from_secs(20)).await);
    worker.claim(&dispatch, &queue, 10).await;
    server.cli(&["CLIENT", "KILL", "TYPE", "normal"]).unwrap();
    eventually(async || dispatch.enqueue(&queue, &tickets(&a, 1)).await.ok()).await;
    assert!(is_woken(&dispatch, &worker, &queue, Duration::from_secs(20)).await);
}

#[tokio::test]
async fn a_wait_without_a_server_takes_its_time_and_gives_nothing() {
    let mut server = Server::start(&Options::default()).unwrap();
    let dispatch = connect(&server.url()).await;
    server.kill().unwrap();
    let (begun, at_most) = (Instant::now(), Duration::from_millis(300));
    assert!(dispatch.wait(Worker::new(&[]).id, at_most).await.is_empty());
    assert!(begun.elapsed() >= at_most && begun.elapsed() < Duration::from_secs(2));
}
