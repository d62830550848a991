//! The end of a lease, and taking tickets away.

use super::stage::{LONG, SHORT, Stage, ids, kind, priority};
use haul_core::dispatch::{Lease, LeaseToken, Next, Settlement, Ticket};
use std::slice;

pub async fn a_ticket_that_is_done_goes_away(stage: Stage) {
    let ticket = stage.enqueued().await;
    let held = stage.claim(1).await;
    stage.settle(&held, Next::Done).await;
    assert_eq!(stage.counts().await, (0, 0, 0));
    assert!(!stage.is_leased(&ticket).await);
    assert_eq!(stage.claim_ids(10).await, []);
}

pub async fn a_done_ticket_can_be_enqueued_anew(stage: Stage) {
    let ticket = stage.enqueued().await;
    stage.settle(&stage.claim(1).await, Next::Done).await;
    stage.enqueue(slice::from_ref(&ticket)).await;
    assert_eq!(stage.claim_ids(10).await, [ticket.id]);
}

pub async fn a_parked_ticket_waits_for_its_time(stage: Stage) {
    let ticket = Ticket { priority: priority(7), ..stage.ticket("b") };
    stage.enqueue(slice::from_ref(&ticket)).await;
    let held = stage.claim(1).await;
    stage.settle(&held, Next::Park(stage.later())).await;
    assert_eq!(stage.counts().await, (0, 1, 0));
    assert_eq!(stage.claim_ids(10).await, []);
    let soon = stage.enqueued().await;
    let held = stage.claim(1).await;
    assert_eq!(held[0].id, soon.id);
    stage.settle(&held, Next::Park(stage.now().plus(SHORT))).await;
    let (claimed, _) = stage.claim_one("the parked ticket becomes due").await;
    assert_eq!((claimed.id, claimed.suspect), (soon.id, false));
}

pub async fn a_ticket_parked_until_now_comes_back_with_kind_and_priority(stage: Stage) {
    let ticket = Ticket { priority: priority(7), ..stage.ticket("b") };
    stage.enqueue(slice::from_ref(&ticket)).await;
    stage.settle(&stage.claim(1).await, Next::Park(stage.now())).await;
    let (claimed, _) = stage.claim_one("the parked ticket comes back").await;
    assert_eq!((claimed.id, claimed.kind, claimed.priority), (ticket.id, ticket.kind, ticket.priority));
}

pub async fn a_released_ticket_goes_to_the_front_of_its_line(stage: Stage) {
    let tickets = stage.tickets("a", 4);
    let urgent = Ticket { priority: priority(0), ..stage.ticket("a") };
    stage.enqueue(&tickets).await;
    let held = stage.claim(2).await;
    stage.enqueue(slice::from_ref(&urgent)).await;
    stage.settle(&held[..1], Next::Release).await;
    assert!(!stage.is_leased(&tickets[0]).await);
    let expected = [urgent.id, tickets[0].id, tickets[2].id, tickets[3].id];
    assert_eq!(stage.claim_ids(10).await, expected);
}

pub async fn a_released_ticket_is_no_suspect(stage: Stage) {
    let ticket = stage.enqueued().await;
    stage.settle(&stage.claim(1).await, Next::Release).await;
    let (claimed, _) = stage.claim_one("the released ticket comes back").await;
    assert_eq!((claimed.id, claimed.suspect), (ticket.id, false));
}

pub async fn a_wrong_token_settles_nothing(stage: Stage) {
    let ticket = stage.enqueued().await;
    let held = stage.claim(1).await;
    let stranger = [Lease { token: LeaseToken::random(), ..held[0].clone() }];
    for next in [Next::Done, Next::Release, Next::Park(stage.now()), Next::Park(stage.later())] {
        stage.settle(&stranger, next).await;
        assert_eq!(stage.counts().await, (0, 0, 1), "after {next:?}");
    }
    assert!(stage.is_leased(&ticket).await);
    assert_eq!(stage.claim_ids(10).await, []);
    assert_eq!(stage.extend(&held, LONG).await, [true]);
}

pub async fn settling_twice_or_the_unknown_does_nothing(stage: Stage) {
    stage.enqueued().await;
    let held = stage.claim(1).await;
    stage.settle(&held, Next::Release).await;
    // Its answer was lost: sent again, it must not bring the ticket in twice, nor take it away.
    stage.settle(&held, Next::Release).await;
    stage.settle(&held, Next::Done).await;
    assert_eq!(stage.counts().await, (1, 0, 0));
    let unknown = [Lease { id: stage.id(), kind: kind("b"), ..held[0].clone() }];
    for next in [Next::Done, Next::Release, Next::Park(stage.now())] {
        stage.settle(&unknown, next).await;
    }
    stage.settle(&[], Next::Done).await;
    assert_eq!(stage.counts().await, (1, 0, 0));
}

pub async fn one_call_settles_leases_in_different_ways(stage: Stage) {
    let tickets = [stage.ticket("a"), stage.ticket("b"), stage.ticket("a"), stage.ticket("c")];
    stage.enqueue(&tickets).await;
    let held = stage.claim(10).await;
    let nexts = [Next::Release, Next::Done, Next::Park(stage.later())];
    let settle = |(lease, next): (&Lease, Next)| Settlement { lease: lease.clone(), next };
    let settlements: Vec<Settlement> = held.iter().zip(nexts).map(settle).collect();
    stage.dispatch.settle(&stage.queue, &settlements).await.expect("leases are settled");
    assert_eq!(stage.counts().await, (1, 1, 1));
    assert_eq!(stage.claim_ids(10).await, [tickets[0].id]);
}

pub async fn a_thousand_leases_are_settled_at_once(stage: Stage) {
    stage.enqueue(&stage.tickets("a", 3_000)).await;
    for (next, expected) in [
        (Next::Done, (2_000, 0, 0)),
        (Next::Park(stage.later()), (1_000, 1_000, 0)),
        (Next::Release, (1_000, 1_000, 0)),
    ] {
        let held = stage.claim(1_000).await;
        assert_eq!(stage.extend(&held, LONG).await, vec![true; 1_000]);
        stage.settle(&held, next).await;
        assert_eq!(stage.counts().await, expected, "after {next:?}");
    }
}

pub async fn removed_tickets_that_are_delayed_never_come(stage: Stage) {
    let tickets = ["a", "a", "b"].map(|name| stage.ticket_due_in(name, SHORT));
    stage.enqueue(&tickets).await;
    let removed = [(kind("a"), tickets[0].id), (kind("b"), tickets[2].id), (kind("c"), stage.id())];
    stage.dispatch.remove(&stage.queue, &removed).await.expect("tickets are removed");
    let (claimed, _) = stage.claim_one("the ticket that stayed becomes due").await;
    assert_eq!(claimed.id, tickets[1].id);
    tokio::time::sleep(SHORT).await;
    assert_eq!(stage.claim_ids(10).await, []);
}

pub async fn removed_tickets_that_are_ready_come_at_most_once(stage: Stage) {
    let tickets = stage.tickets("a", 3);
    stage.enqueue(&tickets).await;
    let removed = [(kind("a"), tickets[1].id)];
    stage.dispatch.remove(&stage.queue, &removed).await.expect("tickets are removed");
    let held = stage.claim(10).await;
    let others: Vec<_> = held.iter().map(|lease| lease.id).filter(|id| *id != tickets[1].id).collect();
    assert_eq!(others, [tickets[0].id, tickets[2].id]);
    assert!(held.len() <= 3);
    stage.settle(&held, Next::Done).await;
    assert_eq!(stage.claim_ids(10).await, []);
    stage.dispatch.remove(&stage.queue, &[]).await.expect("none are removed");
}

pub async fn a_lease_stays_when_its_ticket_is_removed(stage: Stage) {
    let ticket = stage.enqueued().await;
    let held = stage.claim(1).await;
    stage.dispatch.remove(&stage.queue, &[(kind("a"), ticket.id)]).await.expect("tickets are removed");
    assert!(stage.is_leased(&ticket).await);
    assert_eq!(stage.extend(&held, LONG).await, [true]);
}

pub async fn a_job_can_come_again_after_its_ticket_was_removed(stage: Stage) {
    let tickets = [stage.ticket("a"), stage.ticket_due_in("a", LONG)];
    stage.enqueue(&tickets).await;
    let removed = tickets.clone().map(|ticket| (ticket.kind, ticket.id));
    stage.dispatch.remove(&stage.queue, &removed).await.expect("tickets are removed");
    let again = tickets.map(|ticket| Ticket { due: None, ..ticket });
    stage.enqueue(&again).await;
    let mut claimed = stage.claim_ids(10).await;
    claimed.sort();
    assert_eq!(claimed, ids(&again));
}
