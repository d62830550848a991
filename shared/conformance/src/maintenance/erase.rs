//! Payloads, keys and statistics.

use super::{Stage, stage::days_long};
use crate::ledger::keyed;
use haul_core::{
    Job, JobError, Timestamp,
    ledger::{Accepted, Entry, Record},
    maintenance::Progress,
};
use std::time::Duration;

/// Erases until nothing is left; gives how many jobs it was.
async fn erase(stage: &Stage, before: Timestamp) -> u64 {
    let mut erased = 0;
    for _ in 0..2_000 {
        let progress = stage.maintenance.erase_payloads(before).await.expect("payloads are erased");
        erased += progress.done;
        if !progress.more {
            return erased;
        }
    }
    panic!("erasing does not end");
}

async fn dead(stage: &Stage, job: &Job) {
    let error = || JobError::new("no luck").with_detail("with a secret");
    let failed = Record { at: job.created_at(), ..stage.entry(job, 1, Entry::Failed(error(), stage.begun)) };
    let dead = Record { at: job.created_at(), ..stage.entry(job, 2, Entry::Dead(error())) };
    stage.record(&[failed, dead]).await;
}

pub async fn payloads_results_and_details_are_erased(stage: Stage) {
    let (succeeded, died) = (stage.ended_ago(5).await, stage.accepted_ago(5).await);
    dead(&stage, &died).await;
    stage.retain(30).await;
    assert_eq!(erase(&stage, stage.begun.minus(days_long(3))).await, 2);
    for job in [&succeeded, &died] {
        let record = stage.read(job).await;
        assert!(record.is_erased() && record.job.payload.is_empty());
        let outcome = record.outcome.expect("it has ended");
        assert_eq!(outcome.result, None);
        assert!(outcome.error.is_none_or(|error| error.message == "no luck" && error.detail.is_none()));
        assert!(record.failures.iter().all(|failure| failure.error.detail.is_none()));
    }
    assert_eq!(stage.read(&died).await.failure_count, 1, "that it failed is no secret");
    assert_eq!(erase(&stage, stage.begun).await, 0, "once erased, nothing is left");
}

pub async fn what_has_not_ended_keeps_its_payload(stage: Stage) {
    let (waiting, later) = (stage.accepted_ago(5).await, stage.accepted_ago(5).await);
    stage.ended_ago(5).await;
    stage.retain(30).await;
    assert_eq!(erase(&stage, stage.begun).await, 1);
    assert_eq!(stage.ledger.load(&[waiting.id]).await.expect("jobs are loaded")[0].job, waiting);
    stage.succeed(std::slice::from_ref(&later)).await;
    assert_eq!(erase(&stage, stage.begun).await, 1, "it comes when it has ended");
    assert!(stage.read(&later).await.is_erased() && !stage.read(&waiting).await.is_erased());
}

pub async fn younger_payloads_are_left_alone(stage: Stage) {
    let (old, young) = (stage.ended_ago(8).await, stage.ended_ago(4).await);
    stage.retain(30).await;
    assert_eq!(erase(&stage, stage.begun.minus(days_long(6))).await, 1);
    assert!(stage.read(&old).await.is_erased() && !stage.read(&young).await.is_erased());
    assert_eq!(erase(&stage, stage.begun).await, 1);
}

pub async fn expired_keys_are_forgotten_within_the_limit(stage: Stage) {
    for n in 0..5 {
        let key = format!("key {n}");
        stage.ledger.accept(&[keyed(stage.job(), &key, 1)], stage.me, &[]).await.expect("a job is accepted");
    }
    let none = stage.maintenance.expire_keys(100).await.expect("keys are forgotten");
    assert_eq!(none, Progress::default());
    stage.world.age(Duration::from_secs(2 * 3_600)).await;
    stage.ledger.accept(&[keyed(stage.job(), "young", 1)], stage.me, &[]).await.expect("a job is accepted");
    let some = stage.maintenance.expire_keys(3).await.expect("keys are forgotten");
    assert_eq!(some, Progress { done: 3, more: true });
    let rest = stage.maintenance.expire_keys(3).await.expect("keys are forgotten");
    assert_eq!(rest, Progress { done: 2, more: false });
    let young = stage.ledger.accept(&[keyed(stage.job(), "young", 1)], stage.me, &[]).await.expect("a replay");
    assert!(matches!(young.jobs[..], [Accepted::Replayed(_)]));
}

pub async fn statistics_are_refreshed_until_none_is_out_of_date(stage: Stage) {
    stage.ended_ago(0).await;
    for _ in 0..200 {
        if !stage.maintenance.analyze().await.expect("statistics are refreshed").more {
            return;
        }
    }
    panic!("refreshing statistics does not end");
}
