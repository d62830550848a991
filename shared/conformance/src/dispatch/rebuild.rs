//! Loss and rebuild: what is lost is noticed, nothing is given out before it is back, one rebuilds at a time.

use super::stage::{LONG, PAUSED, SHORT, Stage, all_kinds, ids, kind};
use haul_core::{
    QueueSettings,
    dispatch::{Lease, LeaseToken, Next, QueueState, RebuildToken, Ticket},
    name::QueueRef,
};
use std::{slice, time::Duration};
use tokio::time::sleep;

impl Stage {
    async fn begin(&self, queue: &QueueRef, hold: Duration) -> Option<RebuildToken> {
        self.dispatch
            .begin_rebuild(queue, &all_kinds(), &QueueSettings::default(), hold)
            .await
            .expect("a rebuild is begun or refused")
    }
    async fn add(&self, queue: &QueueRef, token: RebuildToken, tickets: &[Ticket], hold: Duration) -> bool {
        self.dispatch.rebuild(queue, token, tickets, hold).await.expect("a rebuild goes on or is refused")
    }
    async fn finish(&self, queue: &QueueRef, token: RebuildToken) -> bool {
        self.dispatch
            .finish_rebuild(queue, token, &QueueSettings::default())
            .await
            .expect("a rebuild ends or is refused")
    }
    async fn begun(&self) -> RebuildToken {
        self.begin(&self.queue, LONG).await.expect("no other rebuild is under way")
    }
}

pub async fn a_new_queue_is_lost_until_it_is_rebuilt(stage: Stage) {
    let new = stage.other_queue("new");
    assert!(stage.is_lost(&new).await);
    assert_eq!(stage.state(&new).await, QueueState::Lost);
    let ticket = stage.ticket("a");
    stage.dispatch.enqueue(&new, slice::from_ref(&ticket)).await.expect("a lost queue takes tickets");
    assert_eq!(stage.state(&new).await, QueueState::Lost, "tickets alone do not make a queue whole");
    assert!(stage.is_lost(&new).await);
    stage.rebuild(&new, &[ticket]).await;
    assert!(!stage.is_lost(&new).await);
    assert_eq!(stage.state(&new).await, QueueState::Ready);
}

pub async fn lost_names_the_lost_among_those_asked_for(stage: Stage) {
    let (a, b) = (stage.other_queue("a"), stage.other_queue("b"));
    stage.rebuild(&b, &[]).await;
    let asked = [stage.queue.clone(), a.clone(), b];
    assert_eq!(stage.dispatch.lost(&asked).await.expect("lost queues are told"), [a]);
    assert_eq!(stage.dispatch.lost(&[]).await.expect("nothing is asked"), []);
}

pub async fn a_loss_is_noticed_by_every_queue(stage: Stage) {
    let other = stage.other_queue("other");
    stage.rebuild(&other, &[]).await;
    stage.enqueued().await;
    stage.world.lose().await;
    for queue in [&stage.queue, &other] {
        assert_eq!(stage.state(queue).await, QueueState::Lost);
        assert!(stage.is_lost(queue).await);
    }
    let ticket = stage.ticket("a");
    stage.rebuild(&stage.queue, slice::from_ref(&ticket)).await;
    assert_eq!(stage.claim_ids(10).await, [ticket.id]);
    assert!(stage.is_lost(&other).await, "each queue is rebuilt by itself");
}

pub async fn calls_to_a_lost_queue_are_answered(stage: Stage) {
    let ticket = stage.enqueued().await;
    let held = stage.claim(1).await;
    stage.world.lose().await;
    stage.settle(&held, Next::Done).await;
    stage.settle(&held, Next::Park(stage.later())).await;
    stage.dispatch.configure(&stage.queue, &PAUSED).await.expect("a lost queue is paused");
    stage.dispatch.remove(&stage.queue, &[(ticket.kind.clone(), ticket.id)]).await.expect("tickets are removed");
    assert!(!stage.is_leased(&ticket).await);
    assert_eq!(stage.counts().await, (0, 0, 0));
    assert_eq!(stage.state(&stage.queue).await, QueueState::Lost, "lost comes before paused");
}

pub async fn nothing_is_given_out_during_a_rebuild(stage: Stage) {
    let token = stage.begun().await;
    let tickets = stage.tickets("a", 3);
    assert!(stage.add(&stage.queue, token, &tickets[..2], LONG).await);
    assert_eq!(stage.state(&stage.queue).await, QueueState::Lost);
    assert!(stage.add(&stage.queue, token, &tickets[2..], LONG).await);
    assert_eq!(stage.state(&stage.queue).await, QueueState::Lost);
    assert!(stage.finish(&stage.queue, token).await);
    assert_eq!(stage.claim_ids(10).await, ids(&tickets));
}

pub async fn a_rebuild_drops_what_waited_and_keeps_the_leases(stage: Stage) {
    let leased = stage.enqueued().await;
    let held = stage.claim(1).await;
    stage.enqueue(&[stage.ticket("a"), stage.ticket("b"), stage.ticket_due_in("c", LONG)]).await;
    let token = stage.begun().await;
    assert_eq!(stage.counts().await, (0, 0, 1));
    let kept = stage.ticket_due_in("b", 2 * LONG);
    assert!(stage.add(&stage.queue, token, &[leased.clone(), kept], LONG).await);
    assert!(stage.finish(&stage.queue, token).await);
    assert_eq!(stage.counts().await, (0, 1, 1), "a ticket whose job is leased is skipped");
    assert_eq!(stage.extend(&held, LONG).await, [true]);
    stage.settle(&held, Next::Done).await;
    assert_eq!(stage.claim_ids(10).await, []);
}

pub async fn a_rebuild_drops_the_kinds_that_it_names(stage: Stage) {
    let tickets = [stage.ticket("a"), stage.ticket("b")];
    stage.enqueue(&tickets).await;
    let token = stage
        .dispatch
        .begin_rebuild(&stage.queue, &[kind("a")], &QueueSettings::default(), LONG)
        .await
        .expect("a rebuild begins");
    assert!(stage.finish(&stage.queue, token.expect("no other rebuild is under way")).await);
    assert_eq!(stage.claim_ids(10).await, [tickets[1].id]);
}

pub async fn a_ticket_enqueued_during_a_rebuild_is_kept(stage: Stage) {
    // Its job may have been committed after the rebuild had read that part of the ledger.
    let token = stage.begun().await;
    let (before, beside, delayed) = (stage.ticket("a"), stage.ticket("a"), stage.ticket_due_in("b", LONG));
    assert!(stage.add(&stage.queue, token, slice::from_ref(&before), LONG).await);
    stage.enqueue(&[beside.clone(), delayed]).await;
    assert!(stage.finish(&stage.queue, token).await);
    assert_eq!(stage.claim_ids(10).await, [before.id, beside.id]);
    assert_eq!(stage.counts().await, (0, 1, 2));
}

pub async fn a_ticket_that_goes_back_during_a_rebuild_is_kept(stage: Stage) {
    let tickets = stage.tickets("a", 3);
    stage.enqueue(&tickets).await;
    let held = stage.claim(3).await;
    let token = stage.begun().await;
    stage.settle(&held[..1], Next::Release).await;
    // The rebuild skips what is leased: only the release can bring it back.
    assert!(stage.add(&stage.queue, token, &tickets[1..], LONG).await);
    stage.settle(&held[1..2], Next::Release).await;
    stage.settle(&held[2..], Next::Park(stage.later())).await;
    assert!(stage.finish(&stage.queue, token).await);
    let mut claimed = stage.claim_ids(10).await;
    claimed.sort();
    assert_eq!(claimed, ids(&tickets[..2]));
    assert_eq!(stage.counts().await, (0, 1, 2));
}

pub async fn a_lease_that_expires_during_a_rebuild_comes_back_once(stage: Stage) {
    let tickets = stage.tickets("a", 2);
    stage.enqueue(&tickets).await;
    let held = stage.claim(2).await;
    let token = stage.begun().await;
    assert_eq!(stage.extend(&held, SHORT).await, [true; 2]);
    sleep(2 * SHORT).await;
    // Whether it is told as unsettled before or after its lease has ended: it must be there, and once.
    assert!(stage.add(&stage.queue, token, &tickets[..1], LONG).await);
    assert!(stage.finish(&stage.queue, token).await);
    let mut claimed = stage.claim_ids(10).await;
    claimed.extend(stage.claim_ids(10).await);
    claimed.sort();
    assert_eq!(claimed, ids(&tickets));
}

pub async fn one_rebuild_of_a_queue_at_a_time(stage: Stage) {
    let token = stage.begun().await;
    assert_eq!(stage.begin(&stage.queue, LONG).await, None);
    let other = stage.other_queue("other");
    assert!(stage.begin(&other, LONG).await.is_some(), "each queue is rebuilt by itself");
    assert!(stage.finish(&stage.queue, token).await);
    let next = stage.begun().await;
    assert!(!stage.add(&stage.queue, token, &[stage.ticket("a")], LONG).await, "a finished rebuild is over");
    assert!(!stage.finish(&stage.queue, token).await);
    assert!(stage.finish(&stage.queue, next).await);
    assert_eq!(stage.claim_ids(10).await, []);
}

pub async fn one_of_many_who_begin_a_rebuild_at_once_gets_the_right(stage: Stage) {
    for round in 0..10 {
        let queue = stage.other_queue(&format!("queue-{round}"));
        let begin = (0..8).map(|_| {
            let (dispatch, queue) = (stage.world.dispatch(), queue.clone());
            async move {
                dispatch
                    .begin_rebuild(&queue, &all_kinds(), &QueueSettings::default(), LONG)
                    .await
                    .expect("a rebuild is answered")
            }
        });
        let begun = crate::at_once(begin).await;
        assert_eq!(begun.iter().flatten().count(), 1);
    }
}

pub async fn a_right_that_has_ended_does_nothing(stage: Stage) {
    let ended = stage.begin(&stage.queue, SHORT).await.expect("no other rebuild is under way");
    sleep(2 * SHORT).await;
    let (old, new) = (stage.ticket("a"), stage.ticket("a"));
    assert!(!stage.add(&stage.queue, ended, slice::from_ref(&old), LONG).await, "the right has ended by itself");
    assert!(!stage.finish(&stage.queue, ended).await);
    assert_eq!(stage.state(&stage.queue).await, QueueState::Lost, "an abandoned rebuild leaves the queue lost");
    assert!(stage.is_lost(&stage.queue).await);
    let token = stage.begun().await;
    assert!(!stage.add(&stage.queue, ended, slice::from_ref(&old), LONG).await);
    assert!(!stage.finish(&stage.queue, ended).await);
    assert_eq!(stage.state(&stage.queue).await, QueueState::Lost);
    assert!(stage.add(&stage.queue, token, slice::from_ref(&new), LONG).await, "the other's right is untouched");
    assert!(stage.finish(&stage.queue, token).await);
    assert_eq!(stage.claim_ids(10).await, [new.id]);
}

pub async fn a_right_that_was_never_given_does_nothing(stage: Stage) {
    let ticket = stage.enqueued().await;
    let invented = RebuildToken(uuid::Uuid::new_v4());
    assert!(!stage.add(&stage.queue, invented, &[stage.ticket("a")], LONG).await);
    assert!(!stage.finish(&stage.queue, invented).await);
    assert_eq!(stage.claim_ids(10).await, [ticket.id]);
}

pub async fn adding_tickets_renews_the_right(stage: Stage) {
    // On a machine that stalls the right may end before it is renewed: then once more.
    let term = Duration::from_millis(500);
    let renewed = crate::eventually("a right is renewed in time", async || {
        let token = stage.begin(&stage.queue, term).await?;
        stage.add(&stage.queue, token, &[], LONG).await.then_some(token)
    })
    .await;
    sleep(2 * term).await;
    assert_eq!(stage.begin(&stage.queue, LONG).await, None);
    assert!(stage.finish(&stage.queue, renewed).await);
}

pub async fn a_rebuild_does_not_survive_a_loss(stage: Stage) {
    let token = stage.begun().await;
    assert!(stage.add(&stage.queue, token, &[stage.ticket("a")], LONG).await);
    stage.world.lose().await;
    // Half of its tickets are gone: finishing now would hide that.
    assert!(!stage.finish(&stage.queue, token).await);
    assert_eq!(stage.state(&stage.queue).await, QueueState::Lost);
}

pub async fn a_rebuild_sets_what_the_ledger_says_of_the_pause(stage: Stage) {
    for paused in [true, false, true] {
        stage
            .dispatch
            .configure(&stage.queue, &QueueSettings { paused: !paused, slots: 1 })
            .await
            .expect("a queue is paused or resumed");
        let token = stage.begun().await;
        assert!(
            stage
                .dispatch
                .finish_rebuild(&stage.queue, token, &QueueSettings { paused, slots: 1 })
                .await
                .expect("a rebuild ends")
        );
        let expected = if paused { QueueState::Paused } else { QueueState::Ready };
        assert_eq!(stage.state(&stage.queue).await, expected);
    }
}

pub async fn a_lease_is_taken_up_again_in_a_lost_queue(stage: Stage) {
    let tickets = stage.tickets("a", 3);
    stage.enqueue(&tickets).await;
    let held = stage.claim(2).await;
    stage.world.lose().await;
    assert_eq!(stage.extend(&held[..1], LONG).await, [true], "its holder knows better");
    let token = stage.begun().await;
    assert_eq!(stage.extend(&held[1..], LONG).await, [true], "also while the rebuild is under way");
    assert!(stage.is_leased(&tickets[0]).await && stage.is_leased(&tickets[1]).await);
    assert!(stage.add(&stage.queue, token, &tickets, LONG).await);
    assert!(stage.finish(&stage.queue, token).await);
    assert_eq!(stage.claim_ids(10).await, [tickets[2].id], "what runs is not given out beside it");
    assert_eq!(stage.extend(&held, LONG).await, [true; 2]);
    stage.settle(&held, Next::Done).await;
    assert_eq!(stage.counts().await, (0, 0, 1));
}

pub async fn a_lease_that_another_took_up_is_not_taken_up_twice(stage: Stage) {
    stage.enqueued().await;
    let held = stage.claim(1).await;
    stage.world.lose().await;
    assert_eq!(stage.extend(&held, LONG).await, [true]);
    let other = [Lease { token: LeaseToken::random(), ..held[0].clone() }];
    assert_eq!(stage.extend(&other, LONG).await, [false]);
    assert_eq!(stage.extend(&held, LONG).await, [true]);
}

pub async fn a_lease_taken_up_beside_its_rebuilt_ticket_is_not_given_out(stage: Stage) {
    let ticket = stage.enqueued().await;
    let held = stage.claim(1).await;
    stage.world.lose().await;
    let token = stage.begun().await;
    assert!(stage.add(&stage.queue, token, slice::from_ref(&ticket), LONG).await);
    // The worker comes back only after the ticket was enqueued.
    assert_eq!(stage.extend(&held, LONG).await, [true]);
    assert!(stage.finish(&stage.queue, token).await);
    assert_eq!(stage.claim_ids(10).await, [], "the job is leased");
    assert_eq!(stage.extend(&held, LONG).await, [true]);
}

pub async fn a_lease_taken_up_again_is_settled_like_any_other(stage: Stage) {
    let tickets = stage.tickets("a", 3);
    stage.enqueue(&tickets).await;
    let held = stage.claim(3).await;
    stage.world.lose().await;
    assert_eq!(stage.extend(&held, LONG).await, [true; 3]);
    stage.settle(&held[..1], Next::Done).await;
    let token = stage.begun().await;
    stage.settle(&held[1..2], Next::Release).await;
    stage.settle(&held[2..], Next::Park(stage.later())).await;
    assert!(stage.finish(&stage.queue, token).await);
    assert_eq!(stage.claim_ids(10).await, [tickets[1].id]);
    assert_eq!(stage.counts().await, (0, 1, 1));
}

pub async fn a_thousand_leases_are_taken_up_again(stage: Stage) {
    stage.enqueue(&stage.tickets("a", 1_000)).await;
    let held = stage.claim(1_000).await;
    stage.world.lose().await;
    assert_eq!(stage.extend(&held, LONG).await, vec![true; 1_000]);
    assert_eq!(stage.counts().await, (0, 0, 1_000));
}

pub async fn a_lease_taken_up_again_expires_like_any_other(stage: Stage) {
    let ticket = stage.enqueued().await;
    let held = stage.claim(1).await;
    stage.world.lose().await;
    assert_eq!(stage.extend(&held, SHORT).await, [true]);
    stage.rebuild(&stage.queue, &[]).await;
    let (claimed, _) = stage.claim_one("the lease expires").await;
    assert_eq!((claimed.id, claimed.kind, claimed.priority), (ticket.id, ticket.kind, ticket.priority));
}

pub async fn many_tickets_are_rebuilt(stage: Stage) {
    let tickets = stage.tickets("a", 5_000);
    let token = stage.begun().await;
    for batch in tickets.chunks(2_500) {
        assert!(stage.add(&stage.queue, token, batch, LONG).await);
    }
    assert!(stage.finish(&stage.queue, token).await);
    assert_eq!(stage.counts().await, (5_000, 0, 0));
    let token = stage.begun().await;
    assert_eq!(stage.counts().await, (0, 0, 0), "all that waited is dropped, however much it is");
    assert!(stage.finish(&stage.queue, token).await);
}
