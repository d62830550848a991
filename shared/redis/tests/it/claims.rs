//! What a claim takes, and in which order.

use crate::world::{Worker, connect, eventually, from_now, ids, kind, queue_on, shared, ticket, tickets};
use haul_core::{Dispatch, Priority, dispatch::QueueState};
use std::time::Duration;

#[tokio::test]
async fn lower_priorities_go_first_and_within_one_the_oldest_head_of_the_kinds() {
    let dispatch = connect(&shared().url()).await;
    let (a, b) = (kind("a"), kind("b"));
    let queue = queue_on(&dispatch, &[a.clone(), b.clone()]).await;
    let mut all: Vec<_> = (0..400).map(|n| ticket(if n % 3 == 0 { &a } else { &b })).collect();
    for (n, ticket) in all.iter_mut().enumerate() {
        ticket.priority = Priority::new(if n % 7 == 0 { 2 } else { 6 }).unwrap();
    }
    dispatch.enqueue(&queue, &all).await.unwrap();
    let mut expected = all.clone();
    expected.sort_by_key(|ticket| (ticket.priority, ticket.id));
    let worker = Worker::new(&[a, b]);
    let (claim, _) = worker.claim(&dispatch, &queue, 1_000).await;
    assert_eq!(claim.state, QueueState::Ready);
    let taken: Vec<_> = claim.tickets.iter().map(|claimed| (claimed.id, &claimed.kind, claimed.priority)).collect();
    let expected: Vec<_> = expected.iter().map(|ticket| (ticket.id, &ticket.kind, ticket.priority)).collect();
    assert_eq!(taken, expected);
}

#[tokio::test]
async fn a_kind_at_its_limit_does_not_starve_the_others() {
    let dispatch = connect(&shared().url()).await;
    let (a, b) = (kind("a"), kind("b"));
    let queue = queue_on(&dispatch, &[a.clone(), b.clone()]).await;
    dispatch.enqueue(&queue, &tickets(&a, 500)).await.unwrap();
    let late = tickets(&b, 3);
    dispatch.enqueue(&queue, &late).await.unwrap();
    let worker = Worker { kinds: vec![(a.clone(), 2), (b.clone(), 10)], ..Worker::new(&[]) };
    let (claim, _) = worker.claim(&dispatch, &queue, 10).await;
    assert_eq!(claim.tickets.iter().filter(|claimed| claimed.kind == a).count(), 2);
    assert_eq!(claim.tickets.iter().filter(|claimed| claimed.kind == b).count(), 3);
}

#[tokio::test]
async fn many_kinds_and_many_duplicates_cost_no_ticket() {
    let dispatch = connect(&shared().url()).await;
    let kinds: Vec<_> = (0..300).map(|n| kind(&format!("kind-{n}"))).collect();
    let queue = queue_on(&dispatch, &kinds).await;
    let all: Vec<_> = kinds.iter().flat_map(|kind| tickets(kind, 10)).collect();
    for _ in 0..3 {
        dispatch.enqueue(&queue, &all).await.unwrap();
    }
    let worker = Worker::new(&kinds);
    let mut taken = Vec::new();
    let (mut claim, _) = worker.claim(&dispatch, &queue, 1_000).await;
    while !claim.tickets.is_empty() || claim.next_in == Some(Duration::ZERO) {
        taken.extend(ids(&claim));
        claim = worker.claim(&dispatch, &queue, 1_000).await.0;
    }
    let mut expected: Vec<_> = all.iter().map(|ticket| ticket.id).collect();
    expected.sort_unstable();
    taken.sort_unstable();
    assert_eq!(taken, expected, "each job is leased exactly once while its lease is held");
    let stats = dispatch.stats(&queue, &kinds).await.unwrap();
    assert_eq!((stats.ready, stats.leased), (0, 3_000));
}

#[tokio::test]
async fn a_delayed_ticket_is_claimed_when_it_is_due_and_the_claim_says_when() {
    let dispatch = connect(&shared().url()).await;
    let a = kind("a");
    let queue = queue_on(&dispatch, std::slice::from_ref(&a)).await;
    let mut delayed = ticket(&a);
    delayed.due = Some(from_now(Duration::from_millis(400)));
    let mut overdue = ticket(&a);
    overdue.due = Some(from_now(Duration::ZERO));
    dispatch.enqueue(&queue, &[delayed.clone(), overdue.clone()]).await.unwrap();
    let worker = Worker::new(&[a]);
    let (claim, _) = worker.claim(&dispatch, &queue, 10).await;
    assert_eq!(ids(&claim), [overdue.id]);
    let next_in = claim.next_in.expect("something is due");
    assert!(next_in > Duration::ZERO && next_in <= Duration::from_millis(400), "{next_in:?}");
    tokio::time::sleep(next_in).await;
    let (claim, _) = worker.claim(&dispatch, &queue, 10).await;
    assert_eq!(ids(&claim), [delayed.id]);
    assert!(delayed.due <= Some(from_now(Duration::ZERO)), "not before its time");
}

#[tokio::test]
async fn twenty_thousand_tickets_due_at_once_are_promoted_in_bounded_steps() {
    let dispatch = connect(&shared().url()).await;
    let a = kind("a");
    let queue = queue_on(&dispatch, std::slice::from_ref(&a)).await;
    let due = from_now(Duration::from_millis(1_000));
    let mut all = tickets(&a, 20_000);
    for ticket in &mut all {
        ticket.due = Some(due);
    }
    dispatch.enqueue(&queue, &all).await.unwrap();
    let worker = Worker::new(&[a]);
    let first = eventually(async || {
        let (claim, _) = worker.claim(&dispatch, &queue, 10).await;
        (!claim.tickets.is_empty()).then_some(claim)
    });
    let first = first.await;
    assert_eq!(first.next_in, Some(Duration::ZERO), "more is due than one call promotes");
    let mut taken = first.tickets.len();
    while taken < all.len() {
        let (claim, _) = worker.claim(&dispatch, &queue, 1_000).await;
        assert!(!claim.tickets.is_empty(), "{taken} of {}", all.len());
        taken += claim.tickets.len();
    }
}

#[tokio::test]
async fn removed_tickets_are_not_claimed() {
    let dispatch = connect(&shared().url()).await;
    let a = kind("a");
    let queue = queue_on(&dispatch, std::slice::from_ref(&a)).await;
    let mut all = tickets(&a, 3_000);
    for ticket in &mut all {
        ticket.due = Some(from_now(Duration::from_secs(3_600)));
        ticket.priority = Priority::new(7).unwrap();
    }
    dispatch.enqueue(&queue, &all).await.unwrap();
    let removed: Vec<_> = all[1..].iter().map(|ticket| (a.clone(), ticket.id)).collect();
    dispatch.remove(&queue, &removed).await.unwrap();
    assert_eq!(dispatch.stats(&queue, &[a]).await.unwrap().delayed, 1);
}
