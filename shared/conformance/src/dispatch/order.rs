//! Which ticket goes first, and how many go.

use super::stage::{LONG, Stage, ids, kind, priority};
use haul_core::{
    JobId, ProcessId, Tenant,
    dispatch::{Claim, QueueState, Ticket},
    name::QueueRef,
};
use std::slice;

impl Stage {
    async fn claim_kinds(&self, kinds: &[(&str, usize)], limit: usize) -> Vec<JobId> {
        let (claim, _) = self.claim_by(ProcessId::random(), kinds, limit, LONG).await;
        claim.tickets.iter().map(|ticket| ticket.id).collect()
    }
}

pub async fn tickets_come_in_the_order_they_were_enqueued(stage: Stage) {
    let mut tickets = stage.tickets("a", 10);
    // By their place in line, not by their id.
    tickets.swap(2, 7);
    stage.enqueue(&tickets[..4]).await;
    stage.enqueue(&tickets[4..]).await;
    let mut claimed = stage.claim_ids(3).await;
    claimed.extend(stage.claim_ids(100).await);
    assert_eq!(claimed, ids(&tickets));
    assert_eq!(stage.claim_ids(100).await, []);
}

pub async fn a_claimed_ticket_is_as_it_was_enqueued(stage: Stage) {
    let ticket = Ticket { priority: priority(3), ..stage.ticket("b") };
    stage.enqueue(slice::from_ref(&ticket)).await;
    let (claimed, _) = stage.claim_one("the ticket is claimed").await;
    assert_eq!((claimed.id, claimed.kind, claimed.priority), (ticket.id, ticket.kind, ticket.priority));
    assert!(!claimed.suspect, "nobody has had it before");
}

pub async fn a_lower_priority_number_comes_first(stage: Stage) {
    let with = |(n, number): (usize, u8)| Ticket { priority: priority(number), ..stage.ticket(["a", "b"][n % 2]) };
    let tickets: Vec<Ticket> = [5, 9, 0, 1, 8, 5, 0, 4].into_iter().enumerate().map(with).collect();
    stage.enqueue(&tickets).await;
    let expected = [2, 6, 3, 7, 0, 5, 4, 1].map(|index: usize| tickets[index].id);
    let mut claimed = stage.claim_ids(3).await;
    claimed.extend(stage.claim_ids(100).await);
    assert_eq!(claimed, expected);
}

pub async fn among_kinds_the_oldest_head_comes_first(stage: Stage) {
    let tickets = ["c", "a", "b", "a", "c", "b"].map(|name| stage.ticket(name));
    // Enqueued kind by kind: the age is in the id.
    for name in ["a", "b", "c"] {
        let of_kind: Vec<Ticket> = tickets.iter().filter(|ticket| ticket.kind == kind(name)).cloned().collect();
        stage.enqueue(&of_kind).await;
    }
    let mut claimed = stage.claim_ids(1).await;
    claimed.extend(stage.claim_ids(2).await);
    claimed.extend(stage.claim_ids(100).await);
    assert_eq!(claimed, ids(&tickets));
}

pub async fn each_kind_is_given_no_more_than_its_room(stage: Stage) {
    let tickets = ["a", "a", "a", "b", "b", "b"].map(|name| stage.ticket(name));
    stage.enqueue(&tickets).await;
    let claimed = stage.claim_kinds(&[("a", 2), ("b", 1), ("c", 5)], 10).await;
    assert_eq!(claimed, [tickets[0].id, tickets[1].id, tickets[3].id]);
    assert_eq!(stage.claim_kinds(&[("a", 0), ("b", 5)], 10).await, [tickets[4].id, tickets[5].id]);
    assert_eq!(stage.claim_kinds(&[("a", 0)], 10).await, []);
}

pub async fn a_claim_gives_no_more_than_its_limit(stage: Stage) {
    stage.enqueue(&stage.tickets("a", 20)).await;
    stage.enqueue(&stage.tickets("b", 20)).await;
    assert_eq!(stage.claim_kinds(&[("a", 20), ("b", 20)], 25).await.len(), 25);
    assert_eq!(stage.counts().await, (15, 0, 25));
}

pub async fn a_kind_at_its_limit_does_not_hold_up_the_others(stage: Stage) {
    let urgent: Vec<Ticket> =
        stage.tickets("a", 500).into_iter().map(|ticket| Ticket { priority: priority(0), ..ticket }).collect();
    stage.enqueue(&urgent).await;
    let other = stage.ticket("b");
    stage.enqueue(slice::from_ref(&other)).await;
    assert_eq!(stage.claim_kinds(&[("a", 1), ("b", 1)], 10).await, [urgent[0].id, other.id]);
}

pub async fn kinds_that_nobody_asks_for_wait(stage: Stage) {
    let (unheard_of, asked) = (stage.ticket("c"), stage.ticket("a"));
    stage.enqueue(&[unheard_of.clone(), asked.clone()]).await;
    assert_eq!(stage.claim_kinds(&[("a", 5), ("b", 5)], 10).await, [asked.id]);
    assert_eq!(stage.counts().await, (1, 0, 1));
    assert_eq!(stage.claim_kinds(&[("c", 5)], 10).await, [unheard_of.id]);
}

pub async fn a_claim_of_nothing_is_answered(stage: Stage) {
    stage.enqueued().await;
    let (claim, _) = stage.claim_by(ProcessId::random(), &[], 10, LONG).await;
    assert_eq!((claim.state, claim.tickets.len()), (QueueState::Ready, 0));
    let (claim, _) = stage.claim_by(ProcessId::random(), &[("a", 5)], 0, LONG).await;
    assert_eq!((claim.state, claim.tickets.len()), (QueueState::Ready, 0));
    stage.enqueue(&[]).await;
    assert_eq!(stage.counts().await, (1, 0, 0));
}

pub async fn an_empty_queue_gives_nothing_and_knows_of_nothing(stage: Stage) {
    let (claim, _) = stage.claim_by(ProcessId::random(), &[("a", 5)], 5, LONG).await;
    assert_eq!(claim, Claim { state: QueueState::Ready, tickets: vec![], next_in: None });
}

pub async fn queues_and_tenants_share_nothing(stage: Stage) {
    let theirs = QueueRef { tenant: Tenant::new("theirs").expect("a valid tenant"), ..stage.queue.clone() };
    let ticket = stage.ticket("a");
    for queue in [stage.other_queue("other"), theirs] {
        stage.rebuild(&queue, slice::from_ref(&ticket)).await;
        let stats = stage.dispatch.stats(&queue, &[kind("a")]).await.expect("figures are told");
        assert_eq!(stats.ready, 1);
    }
    assert_eq!(stage.claim_ids(10).await, []);
    stage.enqueue(slice::from_ref(&ticket)).await;
    assert_eq!(stage.claim_ids(10).await, [ticket.id]);
    assert!(!stage.is_lost(&stage.other_queue("other")).await);
}

pub async fn ten_thousand_tickets_come_out_once_each_in_order(stage: Stage) {
    let tickets = stage.tickets("a", 10_000);
    stage.enqueue(&tickets).await;
    assert_eq!(stage.counts().await, (10_000, 0, 0));
    let mut claimed = Vec::new();
    for _ in 0..10 {
        claimed.extend(stage.claim_ids(1_000).await);
    }
    assert_eq!(claimed.len(), 10_000);
    assert!(claimed == ids(&tickets), "the order of the line was lost");
    assert_eq!(stage.claim_ids(1_000).await, []);
}
