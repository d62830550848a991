//! Due times: nothing starts early, and nothing that is due is forgotten.

use super::stage::{KINDS, LONG, SHORT, Stage, ids, kind, priority};
use haul_core::{JobId, ProcessId, dispatch::Ticket};
use std::{collections::BTreeSet, slice, time::Duration};
use tokio::time::sleep;

pub async fn a_ticket_is_not_given_out_before_it_is_due(stage: Stage) {
    let (first, second) = (stage.ticket_due_in("a", LONG), stage.ticket_due_in("a", SHORT));
    stage.enqueue(&[first, second.clone()]).await;
    let (claimed, _) = stage.claim_one("a ticket becomes due").await;
    assert_eq!(claimed.id, second.id);
    assert!(!claimed.suspect, "it was never leased");
    let due = second.due.expect("it has a due time");
    // The dispatch's clock may be another than ours, by the little that two readings of one machine differ.
    assert!(stage.now().plus(Duration::from_millis(20)) >= due, "it was given out before it was due");
    assert_eq!(stage.claim_ids(10).await, []);
    assert_eq!(stage.counts().await, (0, 1, 1));
}

pub async fn a_ticket_that_was_due_long_ago_is_given_out_at_once(stage: Stage) {
    let ticket = Ticket { due: Some(stage.now().minus(LONG)), ..stage.ticket("a") };
    stage.enqueue(slice::from_ref(&ticket)).await;
    assert_eq!(stage.claim_ids(10).await, [ticket.id]);
}

pub async fn a_claim_tells_in_how_long_the_next_ticket_is_due(stage: Stage) {
    let of_other_kind = stage.ticket_due_in("b", Duration::from_secs(600));
    let tickets = [stage.ticket_due_in("a", 2 * LONG), of_other_kind, stage.ticket_due_in("a", LONG)];
    stage.enqueue(&tickets).await;
    let (claim, _) = stage.claim_by(ProcessId::random(), &[("a", 5)], 5, LONG).await;
    let next_in = claim.next_in.expect("the next due time is known");
    assert!(next_in <= LONG && next_in > LONG / 2, "due in an hour, told: {next_in:?}");
    let (claim, _) = stage.claim_by(ProcessId::random(), &[("a", 5), ("b", 5)], 5, LONG).await;
    let next_in = claim.next_in.expect("the next due time is known");
    assert!(next_in <= Duration::from_secs(600), "due in ten minutes, told: {next_in:?}");
    let (claim, _) = stage.claim_by(ProcessId::random(), &[("c", 5)], 5, LONG).await;
    assert_eq!(claim.next_in, None, "nothing of this kind is known");
}

pub async fn what_becomes_due_comes_in_the_order_of_its_time(stage: Stage) {
    let soon = stage.now().plus(SHORT);
    let due = |ms: u64| Ticket { due: Some(soon.plus(Duration::from_millis(ms))), ..stage.ticket("a") };
    let tickets = [due(40), due(0), due(20), due(10), due(30)];
    stage.enqueue(&tickets).await;
    sleep(2 * SHORT).await;
    let expected = [1, 3, 2, 4, 0].map(|index: usize| tickets[index].id);
    assert_eq!(stage.claim_ids(10).await, expected);
}

pub async fn what_becomes_due_keeps_its_priority_and_kind(stage: Stage) {
    let mut tickets = [9, 0, 5].map(|number| Ticket { priority: priority(number), ..stage.ticket("a") });
    tickets[0].kind = kind("b");
    let due = Some(stage.now().plus(SHORT));
    tickets.iter_mut().for_each(|ticket| ticket.due = due);
    stage.enqueue(&tickets).await;
    sleep(2 * SHORT).await;
    let claimed = stage.claim(10).await;
    let claimed: Vec<_> = claimed.iter().map(|lease| (lease.id, lease.kind.clone(), lease.priority)).collect();
    let expected = [1, 2, 0].map(|index: usize| &tickets[index]);
    assert_eq!(claimed, expected.map(|ticket| (ticket.id, ticket.kind.clone(), ticket.priority)));
}

pub async fn many_tickets_that_are_due_at_once_all_come(stage: Stage) {
    let due = stage.now().plus(SHORT);
    let ticket = |n: usize| Ticket { due: Some(due), ..stage.ticket(KINDS[n % 3]) };
    let tickets: Vec<Ticket> = (0..6_000).map(ticket).collect();
    stage.enqueue(&tickets).await;
    let mut claimed: BTreeSet<JobId> = BTreeSet::new();
    crate::eventually("all tickets become due", async || {
        // Promotion is bounded per call: a claim may come back short while more is due.
        for id in stage.claim_ids(1_000).await {
            assert!(claimed.insert(id), "{id} was given out twice");
        }
        (claimed.len() == tickets.len()).then_some(())
    })
    .await;
    assert_eq!(claimed.into_iter().collect::<Vec<_>>(), ids(&tickets));
}

pub async fn what_is_due_of_other_kinds_does_not_hold_up_a_kind(stage: Stage) {
    // Thousands that nobody handles are due before it: promotion is bounded, and must not be spent on them.
    let long_ago = Some(stage.now().minus(LONG));
    let others: Vec<Ticket> = stage.tickets("b", 5_000).into_iter().map(|t| Ticket { due: long_ago, ..t }).collect();
    stage.enqueue(&others).await;
    let ticket = Ticket { due: Some(stage.now()), ..stage.ticket("a") };
    stage.enqueue(slice::from_ref(&ticket)).await;
    let came = crate::eventually("the ticket of the kind comes", async || {
        let (claim, _) = stage.claim_by(ProcessId::random(), &[("a", 5)], 5, LONG).await;
        let wait = claim.next_in;
        let told = claim.tickets.len() == 1 || wait.is_some_and(|wait| wait <= SHORT);
        assert!(told, "told to wait for {wait:?} beside a due ticket");
        claim.tickets.first().map(|ticket| ticket.id)
    })
    .await;
    assert_eq!(came, ticket.id);
}

pub async fn a_short_claim_while_more_is_due_says_so(stage: Stage) {
    let due = Some(stage.now().minus(Duration::from_secs(5)));
    let tickets: Vec<Ticket> = stage.tickets("a", 5_000).into_iter().map(|ticket| Ticket { due, ..ticket }).collect();
    stage.enqueue(&tickets).await;
    let mut claimed = 0;
    for _ in 0..5_000 {
        let (claim, _) = stage.claim_by(ProcessId::random(), &[("a", 1_000)], 1_000, LONG).await;
        claimed += claim.tickets.len();
        if claimed == tickets.len() {
            return;
        }
        // A worker that found less than it asked for sleeps for `next_in`: it must not sleep beside due tickets.
        let wakes_soon = claim.next_in.is_some_and(|next_in| next_in < Duration::from_millis(50));
        let sleeps = claim.tickets.len() < 1_000 && !wakes_soon;
        assert!(!sleeps, "{claimed} of 5,000 due tickets came, and the claim tells to wait for {:?}", claim.next_in);
    }
    panic!("only {claimed} of 5,000 due tickets came");
}
