//! Wake-ups: whoever is idle learns at once what it can do, and nobody polls.

use super::{
    runner::{ASLEEP, Runner},
    stage::{LONG, PAUSED, SHORT, Stage, kind},
};
use haul_core::{
    ProcessId, QueueSettings,
    dispatch::{Next, Ticket},
    name::QueueRef,
};
use std::{slice, sync::Arc, time::Duration};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep},
};

/// How soon a wake-up arrives, on the slowest machine.
const AWAKE: Duration = Duration::from_secs(20);

impl Stage {
    /// A worker that found less than it asked for.
    async fn idle(&self, kinds: &[(&str, usize)]) -> ProcessId {
        let worker = ProcessId::random();
        let (claim, _) = self.claim_by(worker, kinds, 10, LONG).await;
        assert_eq!(claim.tickets.len(), 0, "there is nothing to find");
        worker
    }

    async fn is_woken(&self, worker: ProcessId, within: Duration) -> bool {
        let woken_for = self.dispatch.wait(worker, within).await;
        assert!(woken_for.iter().all(|queue| *queue == self.queue), "woken for {woken_for:?}");
        !woken_for.is_empty()
    }
}

pub async fn an_enqueue_wakes_an_idle_worker(stage: Stage) {
    for _ in 0..20 {
        let worker = stage.idle(&[("a", 10)]).await;
        let wait = {
            let dispatch = stage.dispatch.clone();
            tokio::spawn(async move { dispatch.wait(worker, ASLEEP).await })
        };
        stage.enqueued().await;
        let woken_for = tokio::time::timeout(AWAKE, wait).await.expect("the worker is woken").expect("it waits");
        assert_eq!(woken_for, slice::from_ref(&stage.queue));
        stage.settle(&stage.claim(1).await, Next::Done).await;
    }
}

pub async fn a_wake_up_before_the_wait_is_not_lost(stage: Stage) {
    for _ in 0..20 {
        let worker = stage.idle(&[("a", 10)]).await;
        stage.enqueued().await;
        assert!(stage.is_woken(worker, AWAKE).await);
        stage.settle(&stage.claim(1).await, Next::Done).await;
    }
}

pub async fn a_wait_without_a_wake_up_ends_in_time(stage: Stage) {
    let worker = stage.idle(&[("a", 10)]).await;
    let begun = Instant::now();
    assert_eq!(stage.dispatch.wait(worker, SHORT).await, []);
    assert!(begun.elapsed() >= SHORT / 2, "it waits, and does not poll");
    assert_eq!(stage.dispatch.wait(ProcessId::random(), SHORT).await, [], "one that has never claimed can wait too");
    assert_eq!(stage.dispatch.wait(worker, Duration::ZERO).await, []);
}

pub async fn a_worker_is_woken_for_each_queue_that_it_asked(stage: Stage) {
    let other = stage.other_queue("other");
    stage.rebuild(&other, &[]).await;
    let worker = stage.idle(&[("a", 10)]).await;
    let beside = stage.with_queue(other.clone());
    let (claim, _) = beside.claim_by(worker, &[("a", 10)], 10, LONG).await;
    assert_eq!(claim.tickets, []);
    stage.enqueued().await;
    beside.enqueued().await;
    let mut woken_for: Vec<QueueRef> = Vec::new();
    while woken_for.len() < 2 {
        let more = stage.dispatch.wait(worker, AWAKE).await;
        assert!(!more.is_empty(), "it was woken for {woken_for:?} only");
        woken_for.extend(more);
    }
    woken_for.sort();
    assert_eq!(woken_for, [stage.queue.clone(), other]);
}

pub async fn a_worker_that_found_some_but_not_all_it_asked_for_is_woken(stage: Stage) {
    stage.enqueue(&stage.tickets("a", 3)).await;
    let worker = ProcessId::random();
    let (claim, _) = stage.claim_by(worker, &[("a", 10)], 10, LONG).await;
    assert_eq!(claim.tickets.len(), 3);
    stage.enqueued().await;
    assert!(stage.is_woken(worker, AWAKE).await, "it has room for seven more");
}

pub async fn one_ticket_wakes_one_worker(stage: Stage) {
    let mut waits = Vec::new();
    for _ in 0..6 {
        let worker = stage.idle(&[("a", 10)]).await;
        let dispatch = stage.dispatch.clone();
        waits.push(tokio::spawn(async move { dispatch.wait(worker, Duration::from_secs(2)).await }));
    }
    stage.enqueued().await;
    let mut woken = 0;
    for wait in waits {
        woken += usize::from(!wait.await.expect("it waits").is_empty());
    }
    assert_eq!(woken, 1, "a herd of workers for one ticket");
}

pub async fn a_worker_of_the_kind_is_woken(stage: Stage) {
    for round in 0..6 {
        let others = [stage.idle(&[("a", 10)]).await, stage.idle(&[("b", 10), ("a", 10)]).await];
        let worker = stage.idle(&[("c", 10)]).await;
        let ticket = stage.ticket("c");
        stage.enqueue(slice::from_ref(&ticket)).await;
        assert!(stage.is_woken(worker, AWAKE).await, "round {round}: the wake-up went to one who cannot use it");
        for other in others {
            assert!(!stage.is_woken(other, Duration::ZERO).await);
        }
        stage.settle(&stage.claim(1).await, Next::Done).await;
    }
}

pub async fn tickets_of_two_kinds_wake_a_worker_of_each(stage: Stage) {
    let workers = [stage.idle(&[("a", 10)]).await, stage.idle(&[("b", 10)]).await];
    stage.enqueue(&[stage.ticket("a"), stage.ticket("b")]).await;
    for worker in workers {
        assert!(stage.is_woken(worker, AWAKE).await);
    }
}

pub async fn a_worker_that_leaves_tickets_behind_wakes_another(stage: Stage) {
    let workers = [stage.idle(&[("a", 10)]).await, stage.idle(&[("a", 10)]).await, stage.idle(&[("a", 10)]).await];
    let (found, mut finds) = mpsc::unbounded_channel();
    for worker in workers {
        let (queue, dispatch, found) = (stage.queue.clone(), stage.dispatch.clone(), found.clone());
        tokio::spawn(async move {
            // Each takes one and is then busy for good.
            assert_ne!(dispatch.wait(worker, ASLEEP).await, []);
            let busy = Runner { dispatch, queue, worker };
            if busy.find().await.is_some() {
                found.send(()).expect("the promise is still being checked");
            }
        });
    }
    stage.enqueue(&stage.tickets("a", 3)).await;
    for n in 0..3 {
        let find = tokio::time::timeout(AWAKE, finds.recv()).await;
        assert!(find.is_ok(), "{n} of three workers were woken for three tickets");
    }
}

pub async fn a_wake_up_is_passed_on(stage: Stage) {
    let mut idle = vec![stage.idle(&[("a", 10)]).await, stage.idle(&[("a", 10)]).await];
    let stranger = stage.idle(&[("b", 10)]).await;
    stage.enqueued().await;
    let first = crate::eventually("one of two is woken", async || {
        for (index, worker) in idle.iter().enumerate() {
            if stage.is_woken(*worker, Duration::from_millis(50)).await {
                return Some(index);
            }
        }
        None
    })
    .await;
    idle.remove(first);
    // It has no room itself.
    stage.dispatch.wake(&stage.queue, &[kind("a")]).await.expect("a wake-up is passed on");
    assert!(stage.is_woken(idle[0], AWAKE).await, "the other one is woken");
    assert!(!stage.is_woken(stranger, Duration::ZERO).await);
    stage.dispatch.wake(&stage.queue, &[kind("c")]).await.expect("there may be nobody to wake");
}

pub async fn an_earlier_due_time_wakes_a_worker_that_waits_for_a_later_one(stage: Stage) {
    stage.enqueue(&[stage.ticket_due_in("a", LONG)]).await;
    let mut runner = stage.runner();
    let found = tokio::spawn(async move { runner.run_one().await });
    sleep(SHORT).await;
    let soon = stage.ticket_due_in("a", 2 * SHORT);
    stage.enqueue(slice::from_ref(&soon)).await;
    let found = tokio::time::timeout(AWAKE, found).await.expect("the worker wakes for the earlier ticket");
    assert_eq!(found.expect("the worker runs").id, soon.id);
}

pub async fn a_released_ticket_wakes_an_idle_worker(stage: Stage) {
    stage.gone_back_is_found(Next::Release).await;
}

pub async fn a_parked_ticket_wakes_an_idle_worker_when_it_is_due(stage: Stage) {
    stage.gone_back_is_found(Next::Park(stage.now().plus(3 * SHORT))).await;
}

pub async fn a_resumed_queue_wakes_its_idle_workers(stage: Stage) {
    let ticket = stage.enqueued().await;
    stage.dispatch.configure(&stage.queue, &PAUSED).await.expect("a queue is paused");
    stage
        .found_after("the queue was resumed", ticket, async || {
            stage.dispatch.configure(&stage.queue, &QueueSettings::default()).await.expect("a queue is resumed");
        })
        .await;
}

pub async fn a_finished_rebuild_wakes_idle_workers(stage: Stage) {
    let token = stage
        .dispatch
        .begin_rebuild(&stage.queue, &[kind("a")], &QueueSettings::default(), LONG)
        .await
        .expect("a rebuild begins");
    let token = token.expect("no other rebuild is under way");
    let ticket = stage.ticket("a");
    stage
        .found_after("the rebuild was finished", ticket.clone(), async || {
            let tickets = slice::from_ref(&ticket);
            assert!(stage.dispatch.rebuild(&stage.queue, token, tickets, LONG).await.expect("a rebuild goes on"));
            assert!(
                stage
                    .dispatch
                    .finish_rebuild(&stage.queue, token, &QueueSettings::default())
                    .await
                    .expect("a rebuild ends")
            );
        })
        .await;
}

pub async fn a_new_queue_wakes_every_waiting_worker(stage: Stage) {
    let new = stage.other_queue("new");
    let mut waits = Vec::new();
    for worker in [stage.idle(&[("a", 10)]).await, stage.idle(&[("b", 10)]).await] {
        let dispatch = stage.dispatch.clone();
        waits.push(tokio::spawn(async move { dispatch.wait(worker, ASLEEP).await }));
    }
    let woken = async {
        for wait in waits {
            assert_eq!(wait.await.expect("it waits"), slice::from_ref(&new));
        }
    };
    // Nobody can tell whether a wait has begun: enqueued again and again, the new queue must come through.
    let enqueue = async {
        loop {
            stage.dispatch.enqueue(&new, &[stage.ticket("a")]).await.expect("a new queue takes tickets");
            sleep(SHORT).await;
        }
    };
    tokio::select! {
        () = woken => {}
        () = enqueue => {}
        () = sleep(AWAKE) => panic!("a waiting worker does not learn of a new queue"),
    }
}

pub async fn no_wake_up_is_lost_between_a_claim_and_a_wait(stage: Stage) {
    let (found, mut finds) = mpsc::unbounded_channel();
    let mut runner = stage.runner();
    tokio::spawn(async move {
        loop {
            let lease = runner.run_one().await;
            if found.send(lease.id).is_err() {
                return;
            }
        }
    });
    for round in 0..500_u64 {
        // Hit every moment between the worker's claim and its wait.
        for _ in 0..round % 7 {
            tokio::task::yield_now().await;
        }
        if round % 5 == 0 {
            sleep(Duration::from_micros(round * 7 % 1_500)).await;
        }
        let ticket = stage.enqueued().await;
        let find = tokio::time::timeout(AWAKE, finds.recv()).await;
        assert_eq!(find.expect("the worker is woken"), Some(ticket.id), "round {round}");
    }
}

pub async fn no_ticket_lies_while_workers_sleep(stage: Stage) {
    // More workers than tickets at a time, claiming one each, while several producers enqueue.
    let (found, mut finds) = mpsc::unbounded_channel();
    for _ in 0..4 {
        let (mut runner, found) = (stage.runner(), found.clone());
        tokio::spawn(async move {
            loop {
                let lease = runner.run_one().await;
                if found.send(lease.id).is_err() {
                    return;
                }
            }
        });
    }
    let stage = Arc::new(stage);
    for round in 0..100 {
        let producers = (0..3).map(|n| {
            let stage = stage.clone();
            async move { stage.enqueue(&stage.tickets("a", (round + n) % 4 + 1)).await }
        });
        crate::at_once(producers).await;
        let expected: usize = (0..3).map(|n| (round + n) % 4 + 1).sum();
        for n in 0..expected {
            let find = tokio::time::timeout(AWAKE, finds.recv()).await;
            assert!(find.is_ok(), "round {round}: {n} of {expected} tickets were found");
        }
    }
}

impl Stage {
    /// Lets a worker fall asleep, then does something that makes the ticket claimable, and expects it to be found.
    async fn found_after(&self, what: &str, ticket: Ticket, act: impl AsyncFnOnce()) {
        let mut runner = self.runner();
        assert_eq!(runner.find().await, None, "nothing can be claimed yet");
        let found = tokio::spawn(async move {
            drop(runner.dispatch.wait(runner.worker, ASLEEP).await);
            runner.run_one().await
        });
        act().await;
        let found = tokio::time::timeout(AWAKE, found).await;
        let found = found.unwrap_or_else(|_| panic!("the worker sleeps on after {what}"));
        assert_eq!(found.expect("the worker runs").id, ticket.id);
    }

    async fn gone_back_is_found(&self, next: Next) {
        let ticket = self.enqueued().await;
        let held = self.claim(1).await;
        self.found_after("a ticket went back", ticket, async || self.settle(&held, next).await).await;
    }
}
