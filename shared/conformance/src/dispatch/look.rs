//! What is told about a queue, and pausing it.

use super::stage::{KINDS, LONG, SHORT, Stage, all_kinds, ids, kind};
use haul_core::{
    JobId, QueueSettings,
    dispatch::{Next, QueueState, QueueStats},
};
use std::slice;

pub async fn figures_tell_ready_delayed_and_leased(stage: Stage) {
    assert_eq!(stage.stats().await, QueueStats::default());
    let tickets = ["a", "b", "a", "c"].map(|name| stage.ticket(name));
    stage.enqueue(&tickets).await;
    stage.enqueue(&[stage.ticket_due_in("a", LONG), stage.ticket_due_in("b", 2 * LONG)]).await;
    assert_eq!(stage.claim_ids(1).await, [tickets[0].id]);
    let oldest_ready = Some(tickets[1].id);
    assert_eq!(stage.stats().await, QueueStats { ready: 3, delayed: 2, leased: 1, oldest_ready });
}

pub async fn figures_are_of_the_kinds_asked_for(stage: Stage) {
    let tickets = ["a", "a", "b"].map(|name| stage.ticket(name));
    stage.enqueue(&tickets).await;
    let stats = async |kinds: &[&str]| {
        let kinds: Vec<_> = kinds.iter().map(|name| kind(name)).collect();
        stage.dispatch.stats(&stage.queue, &kinds).await.expect("figures are told")
    };
    let of_b = QueueStats { ready: 1, oldest_ready: Some(tickets[2].id), ..QueueStats::default() };
    assert_eq!(stats(&["b"]).await, of_b);
    assert_eq!(stats(&["a"]).await.ready, 2);
    assert_eq!(stats(&["c"]).await, QueueStats::default());
    assert_eq!(stats(&[]).await, QueueStats::default());
}

pub async fn what_has_become_due_counts_as_ready(stage: Stage) {
    let ticket = stage.ticket_due_in("a", SHORT);
    stage.enqueue(slice::from_ref(&ticket)).await;
    // Nobody claims meanwhile: an operator who looks at an idle fleet must see what could run.
    crate::eventually("a due ticket counts as ready", async || {
        let stats = stage.stats().await;
        assert_eq!(stats.ready + stats.delayed, 1);
        (stats.ready == 1).then_some(())
    })
    .await;
}

pub async fn an_expired_lease_counts_as_ready(stage: Stage) {
    let ticket = stage.enqueued().await;
    assert_eq!(stage.claim_for(1, SHORT).await.len(), 1);
    crate::eventually("an expired lease counts as ready", async || {
        let stats = stage.stats().await;
        assert_eq!(stats.ready + stats.leased, 1);
        (stats.ready == 1).then_some(())
    })
    .await;
    assert_eq!(stage.claim_ids(10).await, [ticket.id]);
}

pub async fn the_oldest_ready_ticket_is_told(stage: Stage) {
    let tickets = stage.tickets("a", 3);
    stage.enqueue(&tickets).await;
    for expected in [Some(tickets[0].id), Some(tickets[1].id), Some(tickets[2].id), None] {
        assert_eq!(stage.stats().await.oldest_ready, expected);
        stage.claim(1).await;
    }
}

pub async fn leased_answers_in_order(stage: Stage) {
    let tickets = ["a", "a", "b", "c"].map(|name| stage.ticket(name));
    stage.enqueue(&tickets).await;
    assert_eq!(stage.claim_ids(3).await.len(), 3);
    let asked = [3, 0, 2, 1].map(|index: usize| (tickets[index].kind.clone(), tickets[index].id));
    let leased = stage.dispatch.leased(&stage.queue, &asked).await.expect("leases are looked up");
    assert_eq!(leased, [false, true, true, true]);
    let other_kind = stage.dispatch.leased(&stage.queue, &[(kind("b"), tickets[0].id), (kind("a"), stage.id())]).await;
    assert_eq!(other_kind.expect("leases are looked up"), [false, false]);
    assert!(stage.dispatch.leased(&stage.queue, &[]).await.expect("nothing is looked up").is_empty());
}

pub async fn running_names_leased_jobs_up_to_a_limit(stage: Stage) {
    let running = async |kinds: &[&str], limit| {
        let kinds: Vec<_> = kinds.iter().map(|name| kind(name)).collect();
        let mut running = stage.dispatch.running(&stage.queue, &kinds, limit).await.expect("leased jobs are told");
        running.sort();
        running
    };
    let none: [JobId; 0] = [];
    assert_eq!(running(&KINDS, 10).await, none);
    let tickets = ["a", "a", "b", "c"].map(|name| stage.ticket(name));
    stage.enqueue(&tickets).await;
    let held = stage.claim(3).await;
    assert_eq!(running(&KINDS, 10).await, ids(&tickets[..3]));
    assert_eq!(running(&["b", "c"], 10).await, [tickets[2].id]);
    assert_eq!(running(&KINDS, 2).await.len(), 2);
    assert_eq!(running(&KINDS, 0).await, none);
    stage.settle(&held[..2], Next::Done).await;
    assert_eq!(running(&KINDS, 10).await, [tickets[2].id]);
}

pub async fn a_paused_queue_gives_out_nothing_and_says_so(stage: Stage) {
    let ticket = stage.enqueued().await;
    stage.pause(true).await;
    assert_eq!(stage.state(&stage.queue).await, QueueState::Paused);
    stage.pause(true).await;
    let later = stage.enqueued().await;
    assert_eq!(stage.state(&stage.queue).await, QueueState::Paused);
    stage.pause(false).await;
    assert_eq!(stage.claim_ids(10).await, [ticket.id, later.id]);
}

pub async fn leases_of_a_paused_queue_go_on(stage: Stage) {
    let tickets = stage.tickets("a", 3);
    stage.enqueue(&tickets).await;
    let held = stage.claim(3).await;
    stage.pause(true).await;
    assert_eq!(stage.extend(&held, LONG).await, [true; 3]);
    stage.settle(&held[..1], Next::Done).await;
    stage.settle(&held[1..2], Next::Release).await;
    let kinds = all_kinds();
    let running = stage.dispatch.running(&stage.queue, &kinds, 10).await.expect("leased jobs are told");
    assert_eq!(running, [tickets[2].id]);
    stage.pause(false).await;
    assert_eq!(stage.claim_ids(10).await, [tickets[1].id]);
}

pub async fn a_pause_is_of_one_queue(stage: Stage) {
    let other = stage.other_queue("other");
    stage.rebuild(&other, &[]).await;
    stage.pause(true).await;
    assert_eq!(stage.state(&other).await, QueueState::Ready);
}

impl Stage {
    async fn pause(&self, paused: bool) {
        self.dispatch
            .configure(&self.queue, &QueueSettings { paused, slots: 1 })
            .await
            .expect("a queue is paused or resumed");
    }
}
