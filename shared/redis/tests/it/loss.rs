//! Loss is noticed, and repaired by one at a time.

use crate::world::{
    LONG, PAUSED, Worker, connect, eventually, from_now, ids, is_woken, kind, queue_on, rebuild, shared, tickets,
};
use haul_core::{
    Dispatch, QueueRef, QueueSettings,
    dispatch::{LeaseToken, Next, QueueState, Settlement},
};
use haul_testkit::redis::{Options, Server};
use std::time::Duration;

#[tokio::test]
async fn a_flushed_queue_claims_nothing_and_takes_up_the_leases_that_are_extended() {
    let server = Server::start(&Options::default()).unwrap();
    let dispatch = connect(&server.url()).await;
    let a = kind("a");
    let kinds = std::slice::from_ref(&a);
    let queue = queue_on(&dispatch, kinds).await;
    let all = tickets(&a, 10);
    dispatch.enqueue(&queue, &all).await.unwrap();
    let worker = Worker::new(kinds);
    let leases = worker.take(&dispatch, &queue, 3).await;
    server.cli(&["FLUSHALL"]).unwrap();

    assert_eq!(dispatch.lost(std::slice::from_ref(&queue)).await.unwrap(), std::slice::from_ref(&queue));
    let (claim, _) = worker.claim(&dispatch, &queue, 10).await;
    assert_eq!((claim.state, claim.tickets.len()), (QueueState::Lost, 0));
    assert_eq!(dispatch.extend(&queue, &leases, LONG).await.unwrap(), [true; 3]);
    let mut foreign = leases.clone();
    foreign[0].token = LeaseToken::random();
    assert_eq!(dispatch.extend(&queue, &foreign, LONG).await.unwrap(), [false, true, true], "it is held again");

    rebuild(&dispatch, &queue, kinds, &all).await;
    assert!(dispatch.lost(std::slice::from_ref(&queue)).await.unwrap().is_empty());
    let (claim, _) = worker.claim(&dispatch, &queue, 100).await;
    assert_eq!(ids(&claim), all[3..].iter().map(|ticket| ticket.id).collect::<Vec<_>>(), "leased ones were skipped");
    let done = Settlement { lease: leases[0].clone(), next: Next::Done };
    dispatch.settle(&queue, &[done]).await.unwrap();
    assert_eq!(dispatch.extend(&queue, &leases, LONG).await.unwrap(), [false, true, true], "settled is settled");
}

#[tokio::test]
async fn another_run_of_the_server_is_lost_although_the_tickets_are_there() {
    let mut server = Server::start(&Options { append_only: true, ..Options::default() }).unwrap();
    let dispatch = connect(&server.url()).await;
    let a = kind("a");
    let kinds = std::slice::from_ref(&a);
    let queue = queue_on(&dispatch, kinds).await;
    dispatch.enqueue(&queue, &tickets(&a, 10)).await.unwrap();
    let worker = Worker::new(kinds);
    let leases = worker.take(&dispatch, &queue, 1).await;
    server.kill().unwrap();
    assert!(dispatch.lost(std::slice::from_ref(&queue)).await.is_err());
    server.restart().unwrap();
    let lost = eventually(async || dispatch.lost(std::slice::from_ref(&queue)).await.ok()).await;
    assert_eq!(lost, std::slice::from_ref(&queue));
    let unknown = leases.iter().cloned().map(|mut lease| {
        lease.id = crate::world::new_id();
        lease
    });
    let extended = dispatch.extend(&queue, &unknown.collect::<Vec<_>>(), LONG).await.unwrap();
    assert_eq!(extended, [true], "a lease that the restart may have lost is taken up");
    rebuild(&dispatch, &queue, kinds, &[]).await;
    assert!(dispatch.lost(std::slice::from_ref(&queue)).await.unwrap().is_empty());
}

#[tokio::test]
async fn one_rebuild_at_a_time_and_a_late_one_does_nothing() {
    let dispatch = connect(&shared().url()).await;
    let a = kind("a");
    let kinds = std::slice::from_ref(&a);
    let queue = queue_on(&dispatch, kinds).await;
    dispatch.enqueue(&queue, &tickets(&a, 2_000)).await.unwrap();
    let hold = Duration::from_millis(300);
    let slow = dispatch.begin_rebuild(&queue, kinds, &QueueSettings::default(), hold).await.unwrap().unwrap();
    assert_eq!(dispatch.begin_rebuild(&queue, kinds, &QueueSettings::default(), hold).await.unwrap(), None);
    assert_eq!(dispatch.stats(&queue, kinds).await.unwrap().ready, 0);
    let next =
        eventually(async || dispatch.begin_rebuild(&queue, kinds, &QueueSettings::default(), LONG).await.unwrap())
            .await;
    assert!(!dispatch.rebuild(&queue, slow, &tickets(&a, 5), LONG).await.unwrap());
    assert!(!dispatch.finish_rebuild(&queue, slow, &QueueSettings::default()).await.unwrap());
    assert_eq!(dispatch.stats(&queue, kinds).await.unwrap().ready, 0);
    assert!(dispatch.rebuild(&queue, next, &tickets(&a, 2_500), LONG).await.unwrap());
    assert!(dispatch.finish_rebuild(&queue, next, &PAUSED).await.unwrap());
    let (claim, _) = Worker::new(kinds).claim(&dispatch, &queue, 10).await;
    assert_eq!(claim.state, QueueState::Paused, "what the ledger says of the queue was restored");
    assert_eq!(dispatch.stats(&queue, kinds).await.unwrap().ready, 2_500);
}

#[tokio::test]
async fn the_right_to_rebuild_ends_with_the_server_that_gave_it() {
    let mut server = Server::start(&Options { append_only: true, ..Options::default() }).unwrap();
    let dispatch = connect(&server.url()).await;
    let a = kind("a");
    let kinds = std::slice::from_ref(&a);
    let queue = queue_on(&dispatch, kinds).await;
    let settings = QueueSettings::default();
    let interrupted = dispatch.begin_rebuild(&queue, kinds, &settings, LONG).await.unwrap().unwrap();
    assert!(dispatch.rebuild(&queue, interrupted, &tickets(&a, 5), LONG).await.unwrap());
    server.kill().unwrap();
    server.restart().unwrap();
    let finished = eventually(async || dispatch.finish_rebuild(&queue, interrupted, &settings).await.ok()).await;
    assert!(!finished, "what it has enqueued may be lost with the old server");
    let next = dispatch.begin_rebuild(&queue, kinds, &settings, LONG).await.unwrap().expect("at once");
    assert!(!dispatch.rebuild(&queue, interrupted, &tickets(&a, 5), LONG).await.unwrap());
    assert!(dispatch.rebuild(&queue, next, &tickets(&a, 3), LONG).await.unwrap());
    assert!(dispatch.finish_rebuild(&queue, next, &settings).await.unwrap());
    assert_eq!(dispatch.stats(&queue, kinds).await.unwrap().ready, 3);
}

#[tokio::test]
async fn only_the_lost_ones_of_thousands_of_queues_are_named() {
    let dispatch = connect(&shared().url()).await;
    let mut queues: Vec<QueueRef> = (0..2_500).map(|_| crate::world::new_queue()).collect();
    let kept = queues.split_off(2_490);
    for queue in &kept {
        rebuild(&dispatch, queue, &[], &[]).await;
    }
    let asked = [kept, queues.clone()].concat();
    assert_eq!(dispatch.lost(&asked).await.unwrap(), queues);
}

#[tokio::test]
async fn a_parked_ticket_that_is_due_can_be_claimed_at_once() {
    let dispatch = connect(&shared().url()).await;
    let a = kind("a");
    let queue = queue_on(&dispatch, std::slice::from_ref(&a)).await;
    dispatch.enqueue(&queue, &tickets(&a, 2)).await.unwrap();
    let worker = Worker::new(std::slice::from_ref(&a));
    let leases = worker.take(&dispatch, &queue, 2).await;
    let idle = Worker::new(std::slice::from_ref(&a));
    idle.claim(&dispatch, &queue, 1).await;
    let parked = [from_now(Duration::ZERO), from_now(LONG)].map(Next::Park);
    let parked: Vec<_> = leases.into_iter().zip(parked).map(|(lease, next)| Settlement { lease, next }).collect();
    dispatch.settle(&queue, &parked).await.unwrap();
    assert!(is_woken(&dispatch, &idle, &queue, Duration::from_secs(20)).await);
    let (claim, _) = idle.claim(&dispatch, &queue, 10).await;
    assert_eq!(ids(&claim), [parked[0].lease.id]);
    assert_eq!(dispatch.stats(&queue, &[a]).await.unwrap().delayed, 1);
}
