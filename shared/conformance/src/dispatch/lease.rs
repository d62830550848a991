//! Leases: one holder at a time, for a limited time, and nothing is lost when it ends.

use super::stage::{LONG, SHORT, Stage, ids, leases, priority};
use haul_core::{
    ProcessId,
    dispatch::{Lease, LeaseToken, Next, Ticket},
};
use std::{slice, time::Duration};
use tokio::time::sleep;

pub async fn a_leased_ticket_is_given_to_nobody_else(stage: Stage) {
    let ticket = stage.enqueued().await;
    assert_eq!(stage.claim_ids(10).await, [ticket.id]);
    assert_eq!(stage.claim_ids(10).await, []);
    assert!(stage.is_leased(&ticket).await);
    assert_eq!(stage.counts().await, (0, 0, 1));
}

pub async fn a_ticket_comes_back_as_a_suspect_when_its_lease_expires(stage: Stage) {
    let ticket = Ticket { priority: priority(2), ..stage.ticket("b") };
    stage.enqueue(slice::from_ref(&ticket)).await;
    let lost = stage.claim_for(10, SHORT).await;
    assert_eq!(lost.len(), 1);
    let (claimed, _) = stage.claim_one("the expired lease comes back").await;
    assert_eq!((claimed.id, claimed.kind, claimed.priority), (ticket.id, ticket.kind.clone(), ticket.priority));
    assert!(claimed.suspect, "its worker may have died of it");
    assert_eq!(stage.claim_ids(10).await, [], "it came back once");
    assert_eq!(stage.extend(&lost, LONG).await, [false], "the lease has passed to another");
    stage.settle(&lost, Next::Done).await;
    assert!(stage.is_leased(&ticket).await, "the first holder's end does not touch the second's lease");
}

pub async fn many_expired_leases_all_come_back_once(stage: Stage) {
    let tickets = stage.tickets("a", 3_000);
    stage.enqueue(&tickets).await;
    let mut held = Vec::new();
    for _ in 0..3 {
        held.extend(stage.claim(1_000).await);
    }
    // Shortened afterwards: leases that are short from the start may end before the last claim on a busy machine.
    for held in held.chunks(1_000) {
        assert_eq!(stage.extend(held, SHORT).await, vec![true; 1_000]);
    }
    let mut back = Vec::new();
    crate::eventually("all expired leases come back", async || {
        let (claim, _) = stage.claim_by(ProcessId::random(), &[("a", 1_000)], 1_000, LONG).await;
        assert!(claim.tickets.iter().all(|ticket| ticket.suspect));
        back.extend(claim.tickets.into_iter().map(|ticket| ticket.id));
        (back.len() >= tickets.len()).then_some(())
    })
    .await;
    back.sort();
    assert!(back == ids(&tickets), "each comes back once: {} came", back.len());
}

pub async fn expired_leases_go_first_within_their_priority(stage: Stage) {
    let (old, urgent) = (stage.ticket("b"), Ticket { priority: priority(0), ..stage.ticket("a") });
    let expires = stage.ticket("a");
    stage.enqueue(slice::from_ref(&expires)).await;
    assert_eq!(stage.claim_for(1, SHORT).await.len(), 1);
    sleep(2 * SHORT).await;
    stage.enqueue(&[old.clone(), urgent.clone()]).await;
    assert_eq!(stage.claim_ids(10).await, [urgent.id, expires.id, old.id]);
}

pub async fn a_claim_tells_in_how_long_a_lease_expires(stage: Stage) {
    stage.enqueued().await;
    assert_eq!(stage.claim_for(1, LONG).await.len(), 1);
    let (claim, _) = stage.claim_by(ProcessId::random(), &[("a", 5)], 5, LONG).await;
    let next_in = claim.next_in.expect("the lease's end is known");
    assert!(next_in <= LONG && next_in > LONG / 2, "it expires in an hour, told: {next_in:?}");
    let (claim, _) = stage.claim_by(ProcessId::random(), &[("b", 5)], 5, LONG).await;
    assert_eq!(claim.next_in, None, "nothing of this kind is known");
}

pub async fn an_extended_lease_outlives_its_first_term(stage: Stage) {
    // On a machine that stalls the lease may expire before it is extended: then once more, with another ticket.
    let term = Duration::from_millis(500);
    let extended = crate::eventually("a lease is extended in time", async || {
        stage.enqueued().await;
        let held = stage.claim_for(1, term).await;
        let extended = stage.extend(&held, LONG).await == [true];
        if !extended {
            stage.settle(&held, Next::Done).await;
        }
        extended.then_some(held)
    })
    .await;
    sleep(2 * term).await;
    let came = stage.claim_ids(10).await;
    assert!(!came.contains(&extended[0].id), "an extended lease was given to another");
    assert_eq!(stage.extend(&extended, LONG).await, [true]);
}

pub async fn an_extension_counts_from_now_and_may_be_shorter(stage: Stage) {
    let ticket = stage.enqueued().await;
    let held = stage.claim(1).await;
    assert_eq!(stage.extend(&held, SHORT).await, [true]);
    let (claimed, _) = stage.claim_one("the shortened lease expires").await;
    assert_eq!((claimed.id, claimed.suspect), (ticket.id, true));
}

pub async fn a_wrong_token_extends_nothing(stage: Stage) {
    stage.enqueued().await;
    let held = stage.claim(1).await;
    let stranger = Lease { token: LeaseToken::random(), ..held[0].clone() };
    assert_eq!(stage.extend(&[stranger], SHORT).await, [false]);
    sleep(2 * SHORT).await;
    assert_eq!(stage.claim_ids(10).await, [], "a stranger's call must not shorten the lease");
    assert_eq!(stage.extend(&held, LONG).await, [true]);
}

pub async fn answers_to_an_extension_come_in_order(stage: Stage) {
    stage.enqueue(&stage.tickets("a", 2)).await;
    stage.enqueue(&stage.tickets("b", 2)).await;
    let held = stage.claim(10).await;
    let unknown = Lease { id: stage.id(), ..held[0].clone() };
    let stranger = Lease { token: LeaseToken::random(), ..held[3].clone() };
    let asked = [held[2].clone(), unknown, held[0].clone(), stranger, held[1].clone()];
    assert_eq!(stage.extend(&asked, LONG).await, [true, false, true, false, true]);
    assert!(stage.extend(&[], LONG).await.is_empty());
}

pub async fn an_unknown_lease_is_not_taken_up_while_the_queue_is_whole(stage: Stage) {
    let ticket = stage.enqueued().await;
    let held = stage.claim(1).await;
    stage.settle(&held, Next::Done).await;
    assert_eq!(stage.extend(&held, LONG).await, [false]);
    assert!(!stage.is_leased(&ticket).await);
}

pub async fn a_ticket_whose_job_is_leased_is_not_enqueued(stage: Stage) {
    let ticket = stage.enqueued().await;
    let held = stage.claim(1).await;
    let delayed = Ticket { due: Some(stage.later()), ..ticket.clone() };
    stage.enqueue(&[ticket, delayed]).await;
    assert_eq!(stage.counts().await, (0, 0, 1));
    stage.settle(&held, Next::Done).await;
    assert_eq!(stage.claim_ids(10).await, [], "the job has ended");
}

pub async fn a_duplicate_ticket_is_never_leased_beside_the_first(stage: Stage) {
    let ticket = stage.ticket("a");
    let twin = Ticket { priority: priority(1), ..ticket.clone() };
    let due = Ticket { due: Some(stage.now().plus(SHORT)), ..ticket.clone() };
    stage.enqueue(&[ticket.clone(), ticket.clone(), twin, due]).await;
    stage.enqueue(slice::from_ref(&ticket)).await;
    assert_eq!(stage.claim_ids(10).await, [ticket.id]);
    sleep(2 * SHORT).await;
    for _ in 0..5 {
        assert_eq!(stage.claim_ids(10).await, [], "the job is leased");
    }
    assert_eq!(stage.counts().await.2, 1);
}

pub async fn a_duplicate_does_not_outlast_the_expiry_of_a_lease_twice(stage: Stage) {
    let ticket = stage.ticket("a");
    stage.enqueue(&[ticket.clone(), ticket.clone()]).await;
    let (claim, token) = stage.claim_by(ProcessId::random(), &[("a", 1)], 1, SHORT).await;
    assert_eq!(leases(&claim, token).len(), 1);
    sleep(2 * SHORT).await;
    // The suspect and the duplicate are tickets of one job: at most one of them is leased.
    assert_eq!(stage.claim_ids(10).await, [ticket.id]);
    assert_eq!(stage.claim_ids(10).await, []);
}
