//! No wake-up is lost, and none is sent to somebody who cannot use it.

use crate::world::{
    LONG, PAUSED, Worker, connect, eventually, from_now, is_woken, kind, new_queue, queue_on, rebuild, shared, ticket,
    tickets,
};
use haul_core::{
    Dispatch, QueueSettings,
    dispatch::{Next, QueueState, Settlement},
};
use haul_testkit::redis::{Options, Server};
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(20);
const MOMENT: Duration = Duration::from_millis(150);

#[tokio::test(flavor = "multi_thread")]
async fn no_wake_up_is_lost_between_a_claim_that_finds_nothing_and_an_enqueue() {
    let submitter = connect(&shared().url()).await;
    let dispatch = connect(&shared().url()).await;
    let a = kind("a");
    let queue = queue_on(&dispatch, std::slice::from_ref(&a)).await;
    let worker = Worker::new(std::slice::from_ref(&a));
    let (to, from) = (queue.clone(), a.clone());
    const ROUNDS: usize = 2_000;
    let (ask, mut asked) = tokio::sync::mpsc::channel::<()>(1);
    let submits = tokio::spawn(async move {
        while asked.recv().await.is_some() {
            submitter.enqueue(&to, &[ticket(&from)]).await.unwrap();
        }
    });
    for round in 0..ROUNDS {
        let begun = Instant::now();
        ask.send(()).await.unwrap();
        // Both are under way at once: whichever comes first in Redis, the ticket is found without a pause.
        let mut leases = worker.take(&dispatch, &queue, 10).await;
        while leases.is_empty() {
            dispatch.wait(worker.id, SOON).await;
            assert!(begun.elapsed() < SOON, "round {round} was not woken");
            leases = worker.take(&dispatch, &queue, 10).await;
        }
        let done: Vec<_> = leases.into_iter().map(|lease| Settlement { lease, next: Next::Done }).collect();
        dispatch.settle(&queue, &done).await.unwrap();
    }
    drop(ask);
    submits.await.unwrap();
}

#[tokio::test]
async fn an_enqueue_wakes_a_worker_that_has_room_for_the_kind_and_no_other() {
    let dispatch = connect(&shared().url()).await;
    let (a, b) = (kind("a"), kind("b"));
    let queue = queue_on(&dispatch, &[a.clone(), b.clone()]).await;
    let others: Vec<_> = (0..5).map(|_| Worker::new(std::slice::from_ref(&b))).collect();
    for other in &others {
        other.claim(&dispatch, &queue, 10).await;
    }
    let able = Worker::new(&[a.clone(), b]);
    able.claim(&dispatch, &queue, 10).await;
    dispatch.enqueue(&queue, &[ticket(&a)]).await.unwrap();
    assert!(is_woken(&dispatch, &able, &queue, SOON).await);
    for other in &others {
        assert!(!is_woken(&dispatch, other, &queue, Duration::from_millis(20)).await);
    }
}

#[tokio::test]
async fn a_claim_that_leaves_tickets_behind_wakes_another_worker() {
    let dispatch = connect(&shared().url()).await;
    let a = kind("a");
    let queue = queue_on(&dispatch, std::slice::from_ref(&a)).await;
    let workers: Vec<_> = (0..8).map(|_| Worker::new(std::slice::from_ref(&a))).collect();
    for worker in &workers {
        worker.claim(&dispatch, &queue, 1).await;
    }
    dispatch.enqueue(&queue, &tickets(&a, 8)).await.unwrap();
    let takes = workers.iter().map(async |worker| {
        assert!(is_woken(&dispatch, worker, &queue, SOON).await);
        worker.take(&dispatch, &queue, 1).await.len()
    });
    let taken = futures::future::join_all(takes).await;
    assert_eq!(taken, [1; 8], "each was woken in time, by the enqueue or by another's claim");
}

#[tokio::test]
async fn a_wake_up_does_not_end_with_a_worker_that_is_gone() {
    let server = Server::start(&Options::default()).unwrap();
    let dispatch = connect(&server.url()).await;
    let a = kind("a");
    let kinds = std::slice::from_ref(&a);
    let queue = queue_on(&dispatch, kinds).await;
    let gone = connect(&server.url()).await;
    for _ in 0..10 {
        Worker::new(kinds).claim(&gone, &queue, 10).await;
    }
    let worker = Worker::new(kinds);
    worker.claim(&dispatch, &queue, 10).await;
    drop(gone);
    let listening = || server.cli(&["PUBSUB", "CHANNELS", "haul:wake:*"]).unwrap().lines().count();
    eventually(async || (listening() == 1).then_some(())).await;
    dispatch.enqueue(&queue, &[ticket(&a)]).await.unwrap();
    assert!(is_woken(&dispatch, &worker, &queue, SOON).await);
}

#[tokio::test]
async fn a_busy_worker_leaves_the_next_due_time_to_an_idle_one() {
    let dispatch = connect(&shared().url()).await;
    let (a, b) = (kind("a"), kind("b"));
    let queue = queue_on(&dispatch, &[a.clone(), b.clone()]).await;
    let (busy, idle) = (Worker::new(&[a.clone(), b.clone()]), Worker::new(std::slice::from_ref(&a)));
    busy.claim(&dispatch, &queue, 1).await;
    // Registered in another millisecond, so that the first is woken first.
    tokio::time::sleep(Duration::from_millis(5)).await;
    idle.claim(&dispatch, &queue, 1).await;
    let mut soon = ticket(&a);
    soon.due = Some(from_now(Duration::from_secs(4)));
    dispatch.enqueue(&queue, &[soon]).await.unwrap();
    assert!(is_woken(&dispatch, &busy, &queue, SOON).await, "it hears of the time");
    assert!(!is_woken(&dispatch, &idle, &queue, MOMENT).await);
    dispatch.enqueue(&queue, &[ticket(&b)]).await.unwrap();
    assert_eq!(busy.take(&dispatch, &queue, 1).await.len(), 1);
    assert!(is_woken(&dispatch, &idle, &queue, SOON).await, "somebody has to come back for it");
    assert!(idle.claim(&dispatch, &queue, 1).await.0.next_in <= Some(Duration::from_secs(4)));
}

#[tokio::test]
async fn an_earlier_due_time_wakes_whoever_waits_for_a_later_one() {
    let dispatch = connect(&shared().url()).await;
    let a = kind("a");
    let queue = queue_on(&dispatch, std::slice::from_ref(&a)).await;
    let due_in = |duration| {
        let mut ticket = ticket(&a);
        ticket.due = Some(from_now(duration));
        ticket
    };
    dispatch.enqueue(&queue, &[due_in(Duration::from_secs(60))]).await.unwrap();
    let worker = Worker::new(std::slice::from_ref(&a));
    assert!(worker.claim(&dispatch, &queue, 10).await.0.next_in > Some(Duration::from_secs(50)));
    dispatch.enqueue(&queue, &[due_in(Duration::from_secs(70))]).await.unwrap();
    assert!(!is_woken(&dispatch, &worker, &queue, MOMENT).await, "a later one is no news");
    dispatch.enqueue(&queue, &[due_in(Duration::from_secs(2))]).await.unwrap();
    assert!(is_woken(&dispatch, &worker, &queue, SOON).await);
    assert!(worker.claim(&dispatch, &queue, 10).await.0.next_in <= Some(Duration::from_secs(2)));
}

#[tokio::test]
async fn a_wake_up_is_passed_on_to_a_worker_that_has_room() {
    let dispatch = connect(&shared().url()).await;
    let a = kind("a");
    let queue = queue_on(&dispatch, std::slice::from_ref(&a)).await;
    let worker = Worker::new(std::slice::from_ref(&a));
    worker.claim(&dispatch, &queue, 10).await;
    dispatch.wake(&queue, &[kind("other")]).await.unwrap();
    assert!(!is_woken(&dispatch, &worker, &queue, MOMENT).await);
    dispatch.wake(&queue, &[a]).await.unwrap();
    assert!(is_woken(&dispatch, &worker, &queue, SOON).await);
}

#[tokio::test]
async fn whoever_a_paused_or_lost_queue_turned_away_is_woken_when_it_opens() {
    let dispatch = connect(&shared().url()).await;
    let a = kind("a");
    let kinds = std::slice::from_ref(&a);
    let queue = queue_on(&dispatch, kinds).await;
    let worker = Worker::new(kinds);
    dispatch.configure(&queue, &PAUSED).await.unwrap();
    assert_eq!(worker.claim(&dispatch, &queue, 10).await.0.state, QueueState::Paused);
    dispatch.configure(&queue, &QueueSettings::default()).await.unwrap();
    assert!(is_woken(&dispatch, &worker, &queue, SOON).await);
    let token = dispatch.begin_rebuild(&queue, kinds, &QueueSettings::default(), LONG).await.unwrap().unwrap();
    assert_eq!(worker.claim(&dispatch, &queue, 10).await.0.state, QueueState::Lost);
    assert!(dispatch.finish_rebuild(&queue, token, &QueueSettings::default()).await.unwrap());
    assert!(is_woken(&dispatch, &worker, &queue, SOON).await);
}

#[tokio::test]
async fn a_queue_that_may_be_new_wakes_every_waiting_worker_of_every_process() {
    let (here, there) = (connect(&shared().url()).await, connect(&shared().url()).await);
    let a = kind("a");
    let queue = new_queue();
    let workers = [Worker::new(&[]), Worker::new(&[])];
    let waits = futures::future::join(here.wait(workers[0].id, SOON), there.wait(workers[1].id, SOON));
    let enqueue = async {
        tokio::time::sleep(MOMENT).await;
        here.enqueue(&queue, &[ticket(&a)]).await.unwrap();
    };
    let ((one, other), ()) = futures::future::join(waits, enqueue).await;
    // Tests run side by side on one server: others may have new queues too.
    assert!(one.contains(&queue) && other.contains(&queue));
    assert_eq!(here.lost(std::slice::from_ref(&queue)).await.unwrap(), std::slice::from_ref(&queue));
    rebuild(&here, &queue, &[a], &[]).await;
    assert!(here.lost(&[queue]).await.unwrap().is_empty());
}
