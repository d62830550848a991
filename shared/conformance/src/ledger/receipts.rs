//! Receipts: every batch is known to repair until its tickets have surely reached the dispatch.

use super::stage::{Stage, plain};
use haul_core::{
    ProcessId,
    ledger::{Receipt, ReceiptId},
};
use std::{collections::BTreeSet, slice, sync::Arc, time::Duration};

const SECOND: Duration = Duration::from_secs(1);

fn names(receipts: &[Receipt]) -> BTreeSet<ReceiptId> {
    let names: BTreeSet<ReceiptId> = receipts.iter().map(|receipt| receipt.id).collect();
    assert_eq!(names.len(), receipts.len(), "a receipt comes once: {receipts:?}");
    names
}

pub async fn a_receipt_of_a_living_process_stays_with_it(stage: Stage) {
    stage.receipt_of(stage.me).await;
    assert_eq!(stage.take().await, []);
    stage.world.age(100 * SECOND).await;
    stage.beat(stage.me).await;
    assert_eq!(stage.take().await, [], "its process still tells that it is alive");
}

pub async fn a_receipt_covers_its_whole_batch(stage: Stage) {
    let (low, a, b, high) = (stage.job(), stage.job(), stage.job(), stage.job());
    let batch = [a, high, low, b];
    let receipt = stage.accept_by(ProcessId::NOBODY, &batch).await.receipt.expect("a new batch has a receipt");
    let [_, high, low, _] = batch.map(|job| job.id);
    assert_eq!(stage.take().await, [Receipt { id: receipt, first: low, last: high, is_final: false }]);
}

pub async fn a_receipt_of_nobody_is_taken_at_once(stage: Stage) {
    let receipt = stage.receipt_of(ProcessId::NOBODY).await;
    stage.receipt_of(stage.me).await;
    let taken = stage.take().await;
    assert_eq!(names(&taken), BTreeSet::from([receipt]));
    assert!(!taken[0].is_final, "its jobs are swept once more");
    assert_eq!(stage.take().await, [], "it was taken a moment ago");
}

pub async fn a_released_receipt_is_taken_at_once(stage: Stage) {
    let released = stage.receipt_of(stage.me).await;
    stage.receipt_of(stage.me).await;
    stage.ledger.release_receipts(&[released]).await.expect("a receipt is released");
    assert_eq!(names(&stage.take().await), BTreeSet::from([released]));
}

pub async fn a_receipt_of_a_process_that_is_gone_is_taken(stage: Stage) {
    let other = ProcessId::random();
    stage.beat(other).await;
    let left_behind = stage.receipt_of(other).await;
    stage.receipt_of(stage.me).await;
    stage.world.age(10 * SECOND).await;
    assert_eq!(stage.take().await, [], "its process has told that it is alive less than 15 s ago");
    stage.world.age(10 * SECOND).await;
    stage.beat(stage.me).await;
    assert_eq!(names(&stage.take().await), BTreeSet::from([left_behind]));
}

pub async fn a_receipt_of_a_process_that_never_told_that_it_is_alive_is_taken_at_once(stage: Stage) {
    let receipt = stage.receipt_of(ProcessId::random()).await;
    stage.receipt_of(stage.me).await;
    assert_eq!(names(&stage.take().await), BTreeSet::from([receipt]));
}

pub async fn a_receipt_of_a_living_process_is_taken_after_three_minutes(stage: Stage) {
    let receipt = stage.receipt_of(stage.me).await;
    stage.world.age(120 * SECOND).await;
    stage.beat(stage.me).await;
    assert_eq!(stage.take().await, [], "two minutes are too early");
    stage.world.age(70 * SECOND).await;
    stage.beat(stage.me).await;
    assert_eq!(names(&stage.take().await), BTreeSet::from([receipt]));
}

pub async fn a_dropped_receipt_is_never_taken(stage: Stage) {
    let (kept, dropped) = (stage.receipt_of(ProcessId::NOBODY).await, stage.receipt_of(ProcessId::NOBODY).await);
    stage.ledger.drop_receipts(&[dropped]).await.expect("a receipt is dropped");
    stage.ledger.drop_receipts(&[dropped]).await.expect("a dropped receipt is dropped again");
    stage.ledger.drop_receipts(&[]).await.expect("none are dropped");
    stage.ledger.release_receipts(&[dropped]).await.expect("releasing a dropped receipt does nothing");
    stage.world.age(400 * SECOND).await;
    assert_eq!(names(&stage.take().await), BTreeSet::from([kept]));
}

pub async fn receipts_named_as_done_go_with_the_next_batch(stage: Stage) {
    let (first, second) = (stage.receipt_of(stage.me).await, stage.receipt_of(stage.me).await);
    let kept = stage.ledger.accept(&[plain(stage.job())], stage.me, &[first]).await;
    let kept = kept.expect("the jobs are accepted").receipt.expect("a new batch has a receipt");
    let empty = stage.ledger.accept(&[], stage.me, &[second]).await.expect("an empty batch is accepted");
    assert_eq!(empty.receipt, None);
    stage.world.age(400 * SECOND).await;
    assert_eq!(names(&stage.take().await), BTreeSet::from([kept]));
}

pub async fn a_taken_receipt_comes_back_for_its_final_sweep_after_a_minute(stage: Stage) {
    let receipt = stage.receipt_of(ProcessId::NOBODY).await;
    let first = stage.take().await;
    stage.world.age(30 * SECOND).await;
    stage.beat(stage.me).await;
    assert_eq!(stage.take().await, [], "half a minute is too early");
    stage.world.age(40 * SECOND).await;
    stage.beat(stage.me).await;
    let again = stage.take().await;
    assert_eq!(names(&again), BTreeSet::from([receipt]));
    assert_eq!(again, [Receipt { is_final: true, ..first[0].clone() }]);
    stage.ledger.drop_receipts(&[receipt]).await.expect("a receipt is dropped");
    stage.world.age(400 * SECOND).await;
    assert_eq!(stage.take().await, []);
}

pub async fn a_receipt_that_is_never_dropped_comes_back_every_minute(stage: Stage) {
    let receipt = stage.receipt_of(ProcessId::NOBODY).await;
    assert_eq!(names(&stage.take().await), BTreeSet::from([receipt]));
    for _ in 0..3 {
        stage.world.age(70 * SECOND).await;
        stage.beat(stage.me).await;
        let again = stage.take().await;
        assert_eq!(names(&again), BTreeSet::from([receipt]), "whoever took it may have failed");
        assert!(again[0].is_final);
        assert_eq!(stage.take().await, []);
    }
}

pub async fn what_a_taker_took_that_is_gone_is_handed_out_again(stage: Stage) {
    let taker = ProcessId::random();
    stage.beat(taker).await;
    let receipt = stage.receipt_of(ProcessId::NOBODY).await;
    let first = stage.take_by(taker).await;
    assert_eq!(names(&first), BTreeSet::from([receipt]));
    stage.world.age(10 * SECOND).await;
    assert_eq!(stage.take().await, [], "its taker has told that it is alive less than 15 s ago");
    stage.world.age(10 * SECOND).await;
    assert_eq!(stage.take().await, first, "nobody knows whether it was swept: as if for the first time");
    stage.beat(stage.me).await;
    assert_eq!(stage.take_by(taker).await, [], "now it has another owner");
    stage.world.age(50 * SECOND).await;
    stage.beat(stage.me).await;
    assert_eq!(stage.take().await, [], "the minute begins with the later sweep");
    stage.world.age(20 * SECOND).await;
    stage.beat(stage.me).await;
    assert_eq!(stage.take().await, [Receipt { is_final: true, ..first[0].clone() }]);
}

pub async fn a_taker_that_lives_keeps_what_it_took(stage: Stage) {
    let taker = ProcessId::random();
    stage.receipt_of(ProcessId::NOBODY).await;
    stage.beat(taker).await;
    assert_eq!(stage.take_by(taker).await.len(), 1);
    for _ in 0..4 {
        stage.world.age(10 * SECOND).await;
        stage.beat(taker).await;
        assert_eq!(stage.take().await, [], "its taker is alive and may be at it still");
    }
}

pub async fn what_an_unknown_taker_took_is_its_own_for_a_while(stage: Stage) {
    let receipt = stage.receipt_of(ProcessId::NOBODY).await;
    assert_eq!(names(&stage.take_by(ProcessId::random()).await), BTreeSet::from([receipt]));
    assert_eq!(stage.take().await, [], "it has not come to tell that it is alive");
    stage.world.age(10 * SECOND).await;
    assert_eq!(stage.take().await, [], "taking is a sign of life, too");
    stage.world.age(10 * SECOND).await;
    let again = stage.take().await;
    assert_eq!(names(&again), BTreeSet::from([receipt]));
    assert!(!again[0].is_final);
}

pub async fn a_final_sweep_that_was_never_finished_is_begun_anew(stage: Stage) {
    let last_taker = ProcessId::random();
    let receipt = stage.receipt_of(ProcessId::NOBODY).await;
    stage.take().await;
    stage.world.age(70 * SECOND).await;
    stage.beat(stage.me).await;
    assert!(stage.take_by(last_taker).await[0].is_final);
    stage.world.age(20 * SECOND).await;
    let anew = stage.take().await;
    assert_eq!(names(&anew), BTreeSet::from([receipt]));
    assert!(!anew[0].is_final, "what it enqueued may be lost again within the minute");
}

pub async fn a_taken_receipt_that_is_released_is_taken_at_once(stage: Stage) {
    let receipt = stage.receipt_of(ProcessId::NOBODY).await;
    stage.take().await;
    stage.ledger.release_receipts(&[receipt]).await.expect("a receipt is released");
    let again = stage.take_by(ProcessId::random()).await;
    assert_eq!(names(&again), BTreeSet::from([receipt]));
    assert!(!again[0].is_final, "it may not have been swept");
}

pub async fn no_more_receipts_are_taken_than_asked_for(stage: Stage) {
    let mut all = BTreeSet::new();
    for _ in 0..5 {
        all.insert(stage.receipt_of(ProcessId::NOBODY).await);
    }
    let mut taken = BTreeSet::new();
    for expected in [2, 2, 1, 0] {
        let some = stage.ledger.take_receipts(stage.me, 2).await.expect("receipts are taken");
        assert_eq!(some.len(), expected);
        taken.extend(names(&some));
    }
    assert_eq!(taken, all);
}

pub async fn a_receipt_is_never_given_to_two_callers(stage: Stage) {
    let stage = Arc::new(stage);
    for round in 0..5_u32 {
        let mut all = BTreeSet::new();
        for _ in 0..20 {
            let job = stage.job();
            let receipt = stage.accept_by(ProcessId::NOBODY, slice::from_ref(&job)).await.receipt;
            all.insert(receipt.expect("a new job has a receipt"));
        }
        let takers = (0..8).map(|_| {
            let (ledger, taker) = (stage.world.ledger(), ProcessId::random());
            async move { ledger.take_receipts(taker, 7).await.expect("receipts are taken") }
        });
        let mut taken: Vec<Receipt> = crate::at_once(takers).await.into_iter().flatten().collect();
        // Takers may step aside for each other, so that some are left for a later call.
        while taken.len() < all.len() {
            let more = stage.take().await;
            assert!(!more.is_empty(), "round {round}: {} of {} receipts were given out", taken.len(), all.len());
            taken.extend(more);
        }
        assert_eq!(names(&taken), all);
        let dropped: Vec<ReceiptId> = all.into_iter().collect();
        stage.ledger.drop_receipts(&dropped).await.expect("receipts are dropped");
    }
}
