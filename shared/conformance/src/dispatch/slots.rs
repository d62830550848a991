//! Queues that are split over slots: nothing is lost by it, and each slot keeps its order. A dispatch that has no use
//! for slots keeps these promises too.

use super::stage::{LONG, Stage, all_kinds, ids, kind, leases};
use haul_core::{
    Dispatch, JobId, ProcessId, QueueSettings,
    dispatch::{ClaimRequest, DispatchError, LeaseToken, Next, QueueState, Result, Settlement, Ticket},
    name::QueueRef,
};
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU16, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::time::sleep;

fn over(slots: u16) -> QueueSettings {
    QueueSettings { paused: false, slots }
}

impl Stage {
    /// Fills the queue anew, split over so many slots.
    async fn split(&self, slots: u16, tickets: &[Ticket]) {
        let begun = self.dispatch.begin_rebuild(&self.queue, &all_kinds(), &over(slots), LONG).await;
        let token = begun.expect("a rebuild begins").expect("no other rebuild is under way");
        assert!(self.dispatch.rebuild(&self.queue, token, tickets, LONG).await.expect("a rebuild goes on"));
        let finished = self.dispatch.finish_rebuild(&self.queue, token, &over(slots)).await;
        assert!(finished.expect("a rebuild ends"));
        assert!(!self.is_lost(&self.queue).await, "a rebuilt queue is whole");
    }

    async fn claim_all(&self) -> BTreeSet<JobId> {
        let mut all = BTreeSet::new();
        loop {
            let claimed = self.claim_ids(7).await;
            if claimed.is_empty() {
                return all;
            }
            for id in claimed {
                assert!(all.insert(id), "{id} was given out twice");
            }
        }
    }
}

pub async fn every_ticket_of_a_split_queue_is_given_out_once(stage: Stage) {
    let (before, after) = (stage.tickets("a", 100), stage.tickets("b", 100));
    stage.split(4, &before).await;
    stage.enqueue(&after).await;
    assert_eq!(stage.counts().await, (200, 0, 0));
    let all: BTreeSet<_> = ids(&before).into_iter().chain(ids(&after)).collect();
    assert_eq!(stage.claim_all().await, all);
    assert_eq!(stage.counts().await, (0, 0, 200));
}

pub async fn a_claim_from_a_split_queue_keeps_to_its_limit_and_rooms(stage: Stage) {
    stage.split(4, &[stage.tickets("a", 50), stage.tickets("b", 50)].concat()).await;
    for (rooms, limit, expected) in [([5, 0], 10, (5, 0)), ([3, 2], 100, (3, 2)), ([9, 9], 9, (9, 9))] {
        let kinds = [("a", rooms[0]), ("b", rooms[1])];
        let (claim, _) = stage.claim_by(ProcessId::random(), &kinds, limit, LONG).await;
        let of = |name: &str| claim.tickets.iter().filter(|ticket| ticket.kind == kind(name)).count();
        assert!(of("a") <= expected.0 && of("b") <= expected.1, "{rooms:?}: {} and {}", of("a"), of("b"));
        assert_eq!(claim.tickets.len(), limit.min(rooms[0] + rooms[1]));
    }
}

pub async fn each_slot_keeps_its_order(stage: Stage) {
    let tickets = stage.tickets("a", 300);
    stage.split(3, &tickets[..100]).await;
    stage.enqueue(&tickets[100..]).await;
    // What comes out is three growing sequences, shuffled together: no more are needed to take it apart again.
    let mut ends: Vec<JobId> = Vec::new();
    for _ in 0..300 {
        let claimed = stage.claim_ids(1).await;
        let end = ends.iter_mut().filter(|end| **end < claimed[0]).max();
        match end {
            Some(end) => *end = claimed[0],
            None => ends.push(claimed[0]),
        }
    }
    assert!(ends.len() <= 3, "{} sequences", ends.len());
}

pub async fn leases_of_a_split_queue_go_where_they_are_sent(stage: Stage) {
    let tickets = stage.tickets("a", 40);
    stage.split(4, &tickets).await;
    let held = stage.claim(40).await;
    assert_eq!(held.len(), 40);
    let asked: Vec<_> = tickets.iter().map(|ticket| (ticket.kind.clone(), ticket.id)).collect();
    assert_eq!(stage.dispatch.leased(&stage.queue, &asked).await.expect("leases are looked up"), vec![true; 40]);
    let running = stage.dispatch.running(&stage.queue, &all_kinds(), 25).await.expect("leases are listed");
    assert_eq!(running.into_iter().collect::<BTreeSet<_>>().len(), 25);
    let mut mixed = held.clone();
    for lease in mixed.iter_mut().step_by(2) {
        lease.token = LeaseToken::random();
    }
    let answers: Vec<bool> = (0..40).map(|place| place % 2 == 1).collect();
    assert_eq!(stage.extend(&mixed, LONG).await, answers, "answers come in the order asked");
    stage.settle(&held[..10], Next::Done).await;
    stage.settle(&held[10..20], Next::Release).await;
    stage.settle(&held[20..30], Next::Park(stage.later())).await;
    assert_eq!(stage.counts().await, (10, 10, 10));
    let parked: Vec<_> = held[20..30].iter().map(|lease| (lease.kind.clone(), lease.id)).collect();
    stage.dispatch.remove(&stage.queue, &parked).await.expect("tickets are removed");
    assert_eq!(stage.counts().await, (10, 0, 10));
    let released: BTreeSet<_> = held[10..20].iter().map(|lease| lease.id).collect();
    assert_eq!(stage.claim_all().await, released);
}

pub async fn a_scan_of_a_split_queue_sees_every_ticket(stage: Stage) {
    let tickets = stage.tickets("a", 60);
    stage.split(4, &tickets).await;
    stage.claim(10).await;
    let (mut seen, mut cursor) = (BTreeSet::new(), None);
    loop {
        let page = stage.dispatch.scan(&stage.queue, &all_kinds(), cursor.as_ref(), 7).await.expect("a page is read");
        seen.extend(page.tickets.into_iter().map(|ticket| ticket.id));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen, ids(&tickets).into_iter().collect());
}

pub async fn every_ticket_of_a_split_queue_wakes_an_idle_worker(stage: Stage) {
    stage.split(4, &[]).await;
    let mut runner = stage.runner();
    assert!(runner.find().await.is_none());
    let worker = tokio::spawn(async move {
        for _ in 0..20 {
            runner.run_one().await;
        }
    });
    for _ in 0..20 {
        stage.enqueued().await;
        sleep(Duration::from_millis(5)).await;
    }
    crate::eventually("one worker ran them all, woken for each", async || worker.is_finished().then_some(())).await;
    worker.await.expect("the worker ends");
}

pub async fn a_pause_is_of_all_slots(stage: Stage) {
    stage.split(4, &stage.tickets("a", 40)).await;
    let paused = QueueSettings { paused: true, slots: 4 };
    stage.dispatch.configure(&stage.queue, &paused).await.expect("a queue is paused");
    for _ in 0..4 {
        assert_eq!(stage.state(&stage.queue).await, QueueState::Paused);
    }
    stage.dispatch.configure(&stage.queue, &over(4)).await.expect("a queue is resumed");
    assert_eq!(stage.claim_all().await.len(), 40);
}

pub async fn leases_are_taken_up_when_the_queue_is_split_anew(stage: Stage) {
    let mut tickets = stage.tickets("a", 40);
    stage.split(1, &tickets).await;
    let held = stage.claim(30).await;
    for slots in [4, 2, 5, 1] {
        stage.dispatch.configure(&stage.queue, &over(slots)).await.expect("a queue is configured");
        let begun = stage.dispatch.begin_rebuild(&stage.queue, &all_kinds(), &over(slots), LONG).await;
        let token = begun.expect("a rebuild begins").expect("no other rebuild is under way");
        assert_eq!(stage.extend(&held, LONG).await, [true; 30], "their holder knows better");
        assert!(stage.dispatch.rebuild(&stage.queue, token, &tickets, LONG).await.expect("a rebuild goes on"));
        let finished = stage.dispatch.finish_rebuild(&stage.queue, token, &over(slots)).await;
        assert!(finished.expect("a rebuild ends"));
        assert_eq!(stage.counts().await, (10, 0, 30), "over {slots} slots");
        assert_eq!(stage.extend(&held, LONG).await, [true; 30]);
    }
    let waiting: BTreeSet<_> = tickets.split_off(30).iter().map(|ticket| ticket.id).collect();
    assert_eq!(stage.claim_all().await, waiting, "what is leased is not given out beside it");
}

pub async fn another_handle_need_not_be_told_that_a_queue_is_split(stage: Stage) {
    let [submitter, worker] = [stage.world.dispatch(), stage.world.dispatch()];
    for slots in [4, 1, 3, 2] {
        stage.split(slots, &[]).await;
        let tickets = stage.tickets("a", 30);
        submitter.enqueue(&stage.queue, &tickets).await.expect("tickets are enqueued");
        let kinds = [(kind("a"), 100)];
        let token = LeaseToken::random();
        let (queue, worker_id) = (&stage.queue, ProcessId::random());
        let request = ClaimRequest { queue, kinds: &kinds, limit: 100, worker: worker_id, token, lease: LONG };
        let claim = worker.claim(&request).await.expect("tickets are claimed");
        let claimed: BTreeSet<_> = claim.tickets.iter().map(|ticket| ticket.id).collect();
        assert_eq!(claimed, ids(&tickets).into_iter().collect(), "over {slots} slots");
        let done = leases(&claim, token).into_iter().map(|lease| Settlement { lease, next: Next::Done });
        submitter.settle(&stage.queue, &done.collect::<Vec<_>>()).await.expect("leases are settled");
        assert_eq!(stage.counts().await, (0, 0, 0));
    }
}

/// What a ledger would know: which jobs have no outcome, and how the queue is set.
struct Truth {
    unsettled: Mutex<BTreeMap<JobId, Ticket>>,
    slots: AtomicU16,
    end: AtomicBool,
}

pub async fn a_queue_that_is_split_anew_under_load_loses_nothing(stage: Stage) {
    let truth = Arc::new(Truth { unsettled: Mutex::default(), slots: AtomicU16::new(1), end: AtomicBool::new(false) });
    let mut members = tokio::task::JoinSet::new();
    members.spawn(repair(stage.world.dispatch(), stage.queue.clone(), truth.clone()));
    for _ in 0..3 {
        members.spawn(run(stage.world.dispatch(), stage.queue.clone(), truth.clone()));
    }
    let submitters = [stage.world.dispatch(), stage.world.dispatch()];
    for slots in [1, 4, 2, 64, 3, 1] {
        truth.slots.store(slots, Ordering::SeqCst);
        for round in 0..60 {
            let tickets = stage.tickets("a", 5);
            // The ledger first.
            truth.unsettled.lock().extend(tickets.iter().map(|ticket| (ticket.id, ticket.clone())));
            while answered(submitters[round % 2].enqueue(&stage.queue, &tickets).await).is_none() {
                sleep(Duration::from_millis(3)).await;
            }
            sleep(Duration::from_millis(3)).await;
        }
    }
    let until = Instant::now() + Duration::from_secs(60);
    while !truth.unsettled.lock().is_empty() {
        assert!(Instant::now() < until, "{} jobs were lost", truth.unsettled.lock().len());
        assert!(members.try_join_next().is_none(), "nobody gives up");
        sleep(Duration::from_millis(10)).await;
    }
    truth.end.store(true, Ordering::SeqCst);
    while let Some(ended) = members.join_next().await {
        ended.expect("nobody gives up");
    }
}

/// Keeps the queue as the truth says that it is to be.
async fn repair(dispatch: Arc<dyn Dispatch>, queue: QueueRef, truth: Arc<Truth>) {
    while !truth.end.load(Ordering::SeqCst) {
        sleep(Duration::from_millis(5)).await;
        let settings = over(truth.slots.load(Ordering::SeqCst));
        dispatch.configure(&queue, &settings).await.expect("a queue is configured");
        if dispatch.lost(std::slice::from_ref(&queue)).await.expect("lost queues are told").is_empty() {
            continue;
        }
        let begun = dispatch.begin_rebuild(&queue, &all_kinds(), &settings, LONG).await.expect("a rebuild begins");
        let token = begun.expect("nobody else rebuilds");
        sleep(Duration::from_millis(30)).await;
        let unsettled: Vec<_> = truth.unsettled.lock().values().cloned().collect();
        for tickets in unsettled.chunks(100) {
            assert!(dispatch.rebuild(&queue, token, tickets, LONG).await.expect("a rebuild goes on"));
        }
        assert!(dispatch.finish_rebuild(&queue, token, &settings).await.expect("a rebuild ends"));
    }
}

/// Claims, holds on for a moment, and ends what it claimed: outcome first.
async fn run(dispatch: Arc<dyn Dispatch>, queue: QueueRef, truth: Arc<Truth>) {
    let (worker, kinds) = (ProcessId::random(), [(kind("a"), 10)]);
    while !truth.end.load(Ordering::SeqCst) {
        let token = LeaseToken::random();
        let lease = Duration::from_secs(2);
        let request = ClaimRequest { queue: &queue, kinds: &kinds, limit: 10, worker, token, lease };
        let Some(claim) = answered(dispatch.claim(&request).await) else { continue };
        let leases = leases(&claim, token);
        sleep(Duration::from_millis(2)).await;
        answered(dispatch.extend(&queue, &leases, lease).await);
        truth.unsettled.lock().retain(|id, _| leases.iter().all(|lease| lease.id != *id));
        let done: Vec<_> = leases.into_iter().map(|lease| Settlement { lease, next: Next::Done }).collect();
        answered(dispatch.settle(&queue, &done).await);
    }
}

/// Splits may come faster than a worker gets to know of them. What has no answer comes back when its lease runs out.
fn answered<T>(answer: Result<T>) -> Option<T> {
    match answer {
        Ok(answer) => Some(answer),
        Err(DispatchError::Unavailable(_)) => None,
        Err(error) => panic!("{error}"),
    }
}
