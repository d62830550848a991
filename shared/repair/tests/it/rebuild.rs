//! Queues that lost their tickets.

use crate::{
    faulty::{Fate, Faulty},
    world::{World, kind, queue},
};
use haul_core::{
    QueueChange,
    dispatch::{Lease, LeaseToken, QueueState},
};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

#[tokio::test]
async fn a_new_dispatch_gets_every_unsettled_job_of_every_queue_in_order() {
    let world = World::new();
    let (mail, reports) = (world.accepted("mail", 7_000).await, world.accepted("reports", 3).await);
    for id in &mail[..10] {
        world.succeed(*id).await;
    }
    world.repairer().pass().await.unwrap();
    let mut claimed = Vec::new();
    loop {
        let ids = world.claim_ids(&queue("mail")).await;
        if ids.is_empty() {
            break;
        }
        claimed.extend(ids);
    }
    assert_eq!(claimed, mail[10..]);
    assert_eq!(world.claim_ids(&queue("reports")).await, reports);
}

#[tokio::test]
async fn a_queue_that_is_paused_in_the_ledger_is_paused_after_a_rebuild() {
    let world = World::new();
    world.accepted("mail", 1).await;
    world.ledger_pauses("mail").await;
    world.repairer().pass().await.unwrap();
    assert_eq!(world.claim(&queue("mail"), LeaseToken::random()).await.state, QueueState::Paused);
}

#[tokio::test]
async fn a_job_that_is_due_later_waits_after_a_rebuild_too() {
    let world = World::new();
    world.alive().await;
    let mut job = world.job("mail");
    job.run_at = job.created_at().plus(Duration::from_secs(3_600));
    world.accept(world.me, &[job]).await;
    world.repairer().pass().await.unwrap();
    assert_eq!(world.claim_ids(&queue("mail")).await, []);
    assert_eq!(world.dispatch.stats(&queue("mail"), &[kind()]).await.unwrap().delayed, 1);
}

#[tokio::test(start_paused = true)]
async fn what_a_worker_re_asserts_during_the_grace_is_not_handed_out_again() {
    let world = World::new();
    let ids = world.accepted("mail", 2).await;
    world.repairer().pass().await.unwrap();
    // The queue has a history now: workers may hold leases.
    let later = world.clock.now().plus(Duration::from_secs(60));
    world.clock.sync(later, Duration::ZERO);
    world.lose(&queue("mail")).await;

    let held = Lease { id: ids[0], kind: kind(), priority: Default::default(), token: LeaseToken::random() };
    let mut repairer = world.repairer();
    let re_assert = async {
        tokio::time::sleep(Duration::from_millis(700)).await;
        let mail = queue("mail");
        let extended = world.dispatch.extend(&mail, std::slice::from_ref(&held), Duration::from_secs(3_600)).await;
        assert_eq!(extended.unwrap(), [true]);
    };
    let (repaired, ()) = tokio::join!(repairer.pass(), re_assert);
    repaired.unwrap();
    assert_eq!(world.claim_ids(&queue("mail")).await, [ids[1]]);
}

#[tokio::test]
async fn of_two_repairers_one_rebuilds_and_no_ticket_comes_twice() {
    let world = World::new();
    let ids = world.accepted("mail", 500).await;
    let (mut one, mut other) = (world.repairer(), world.repairer());
    let (first, second) = tokio::join!(one.pass(), other.pass());
    first.and(second).unwrap();
    assert_eq!(world.claim_ids(&queue("mail")).await, ids);
    assert_eq!(world.claim_ids(&queue("mail")).await, []);
}

#[tokio::test(start_paused = true)]
async fn a_running_repairer_notices_a_new_queue_by_itself() {
    let world = World::new();
    let shutdown = CancellationToken::new();
    let running = tokio::spawn(world.repairer().run(shutdown.clone()));
    let ids = world.accepted("mail", 3).await;
    while !world.dispatch.lost(&[queue("mail")]).await.unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(world.claim_ids(&queue("mail")).await, ids);
    shutdown.cancel();
    running.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_job_committed_behind_the_scans_back_is_found_by_the_second_look() {
    let world = World::new();
    world.accepted("mail", 1).await;
    let mut repairer = world.repairer();
    repairer.pass().await.unwrap();
    assert_eq!(world.claim_ids(&queue("mail")).await.len(), 1);
    // Accepted, and enqueued into a server that was replaced a moment later: nobody has its ticket, nor a receipt.
    let late = world.accepted("mail", 1).await;
    repairer.pass().await.unwrap();
    assert_eq!(world.claim_ids(&queue("mail")).await, []);
    tokio::time::sleep(Duration::from_secs(61)).await;
    repairer.pass().await.unwrap();
    assert!(world.claim_ids(&queue("mail")).await.contains(&late[0]));
}

#[tokio::test(start_paused = true)]
async fn the_second_look_is_taken_by_another_when_whoever_rebuilt_has_died() {
    let world = World::simulated().with(&["mail"]).await;
    // A queue with a history: its rebuild waits for workers, and is seen by others.
    tokio::time::sleep(Duration::from_secs(10)).await;
    world.lose(&queue("mail")).await;
    let (mut one, mut other) = (world.repairer(), world.repairer());
    let (rebuilt, seen) = tokio::join!(one.pass(), other.pass());
    rebuilt.and(seen).unwrap();
    assert_eq!(world.claim_ids(&queue("mail")).await, []);
    drop(one);
    let late = world.accepted("mail", 1).await;
    other.pass().await.unwrap();
    tokio::time::sleep(Duration::from_secs(61)).await;
    other.pass().await.unwrap();
    assert_eq!(world.claim_ids(&queue("mail")).await, [], "it leaves the look to whoever rebuilt");
    tokio::time::sleep(Duration::from_secs(41)).await;
    other.pass().await.unwrap();
    assert_eq!(world.claim_ids(&queue("mail")).await, late);
}

#[tokio::test(start_paused = true)]
async fn a_second_look_that_breaks_off_goes_on_and_holds_no_rebuild_up() {
    let world = World::simulated().with(&["mail"]).await;
    let faulty = Faulty::new(world.dispatch.clone(), |_| Fate::Answered);
    let mut repairer = world.repairer_over(faulty.clone());
    world.lose(&queue("mail")).await;
    repairer.pass().await.unwrap();
    let late = world.accepted("mail", 1).await;
    tokio::time::sleep(Duration::from_secs(61)).await;
    faulty.decide_by(|call| if call == "enqueue" { Fate::Lost } else { Fate::Answered });
    // A new queue meanwhile.
    let new = world.accepted("reports", 1).await;
    assert!(repairer.pass().await.is_err());
    assert_eq!(world.claim_ids(&queue("reports")).await, new);
    assert_eq!(world.claim_ids(&queue("mail")).await, []);
    faulty.decide_by(|_| Fate::Answered);
    repairer.pass().await.unwrap();
    assert_eq!(world.claim_ids(&queue("mail")).await, late);
}

#[tokio::test(start_paused = true)]
async fn a_rebuild_that_broke_off_is_begun_anew_and_completed() {
    let world = World::new();
    let ids = world.accepted("mail", 12_000).await;
    let mut rebuilds_left = 1;
    let faulty = Faulty::new(world.dispatch.clone(), move |call| match call {
        "rebuild" if rebuilds_left == 0 => Fate::Lost,
        "rebuild" => {
            rebuilds_left -= 1;
            Fate::Answered
        }
        _ => Fate::Answered,
    });
    let mut repairer = world.repairer_over(faulty.clone());
    assert!(repairer.pass().await.is_err());
    assert_eq!(world.claim(&queue("mail"), LeaseToken::random()).await.state, QueueState::Lost);
    faulty.decide_by(|_| Fate::Answered);
    // Its own right to rebuild has to run out first.
    let later = world.clock.now().plus(Duration::from_secs(60));
    world.clock.sync(later, Duration::ZERO);
    while !world.dispatch.lost(&[queue("mail")]).await.unwrap().is_empty() {
        tokio::time::sleep(Duration::from_secs(1)).await;
        repairer.pass().await.unwrap();
    }
    let stats = world.dispatch.stats(&queue("mail"), &[kind()]).await.unwrap();
    assert_eq!(stats.ready, ids.len() as u64);
}

impl World {
    async fn ledger_pauses(&self, name: &str) {
        use haul_core::Ledger;
        let pause = QueueChange { paused: Some(true), ..QueueChange::default() };
        assert!(self.ledger.configure_queue(&queue(name), &pause).await.unwrap().is_some());
    }
}
