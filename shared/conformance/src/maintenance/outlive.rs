//! Jobs that outlive their day.

use super::{Stage, stage::days_long};
use crate::ledger::{keyed, plain};
use haul_core::{
    FinalState, Job, JobId,
    ledger::{Accepted, Cancelled, Entry, Filter, Record, Recorded, StateFilter},
    outcome::JobRecord,
};

/// An unfinished job of ten days ago with a failure, after its day and all around it was dropped.
async fn outlived(stage: &Stage) -> (Job, JobRecord) {
    let job = stage.accepted_ago(10).await;
    stage.ended_ago(10).await;
    stage.record(&[stage.failure(&job, 1), stage.crash(&job, 2)]).await;
    let before = stage.read(&job).await;
    stage.retain(3).await;
    (job, before)
}

pub async fn an_unfinished_job_is_never_dropped(stage: Stage) {
    let (job, before) = outlived(&stage).await;
    stage.retain(1).await;
    assert_eq!(stage.read(&job).await, before, "it is as it was, with its failures");
    let loaded = stage.ledger.load(&[job.id]).await.expect("jobs are loaded");
    assert_eq!((loaded[0].failures, loaded[0].crashes, loaded[0].outcome), (2, 1, None));
    assert_eq!(loaded[0].due, stage.retry_at(2));
    let unsettled = stage.unsettled(None, None, 100).await;
    assert_eq!(unsettled.iter().map(|job| (job.id, job.due)).collect::<Vec<_>>(), [(job.id, stage.retry_at(2))]);
    assert_eq!(stage.listed(&Filter::default()).await, [job.id]);
}

pub async fn what_outlives_its_day_is_recorded_like_any_other(stage: Stage) {
    let (job, _) = outlived(&stage).await;
    assert_eq!(
        stage.record(&[stage.failure(&job, 2), stage.failure(&job, 3)]).await,
        [Recorded::Stale, Recorded::Committed]
    );
    assert_eq!(stage.read(&job).await.failure_count, 3);
    let records = [stage.death(&job, 4), stage.success(&job, 4)];
    assert_eq!(stage.record(&records).await, [Recorded::Committed, Recorded::Stale]);
    assert_eq!(stage.record(&[stage.success(&job, 5), stage.failure(&job, 5)]).await, [Recorded::Stale; 2]);
    let outcome = stage.read(&job).await.outcome.expect("it has ended");
    assert_eq!((outcome.state, outcome.attempt), (FinalState::Dead, 4));
    assert_eq!(stage.ledger.settled(&[job.id]).await.expect("outcomes are read"), [(job.id, FinalState::Dead)]);
    assert_eq!(stage.unsettled_ids().await, []);
}

pub async fn what_outlives_its_day_is_cancelled_like_any_other(stage: Stage) {
    let (job, _) = outlived(&stage).await;
    let cancel = async || stage.ledger.cancel(&job.tenant, &[job.id], stage.begun).await.expect("a cancel is answered");
    assert_eq!(cancel().await, [Cancelled::Now]);
    assert_eq!(cancel().await, [Cancelled::Already(FinalState::Cancelled)]);
    assert_eq!(stage.read(&job).await.outcome.expect("it has ended").attempt, 2);
    let other = crate::ledger::tenant("other");
    let foreign = stage.ledger.cancel(&other, &[job.id], stage.begun).await.expect("a cancel is answered");
    assert_eq!(foreign, [Cancelled::Unknown]);
}

pub async fn what_ended_late_is_kept_from_its_end(stage: Stage) {
    let (before, after) = (stage.accepted_ago(10).await, stage.accepted_ago(10).await);
    stage.succeed(std::slice::from_ref(&before)).await;
    stage.retain(3).await;
    stage.succeed(std::slice::from_ref(&after)).await;
    stage.retain(3).await;
    for job in [before, after] {
        let outcome = stage.read(&job).await.outcome.expect("it has ended");
        assert_eq!(outcome.state, FinalState::Succeeded);
    }
}

pub async fn what_outlived_its_day_is_deleted_in_its_own_time(stage: Stage) {
    let (job, _) = outlived(&stage).await;
    let at = stage.begun.minus(days_long(4));
    let record = Record { at, ..stage.entry(&job, 3, Entry::Succeeded(None)) };
    assert_eq!(stage.record(&[record]).await, [Recorded::Committed]);
    stage.retain(5).await;
    stage.read(&job).await;
    stage.retain(3).await;
    assert_eq!(stage.find(&job).await, None);
    assert_eq!(stage.listed(&Filter::default()).await, []);
    assert_eq!(stage.record(&[stage.success(&job, 4)]).await, [Recorded::Stale]);
}

pub async fn a_list_shows_what_outlives_its_day_exactly_once(stage: Stage) {
    let mut expected: Vec<JobId> = Vec::new();
    for days in [12, 10, 8, 0] {
        for _ in 0..4 {
            expected.push(stage.accepted_ago(days).await.id);
        }
        stage.ended_ago(days.max(8)).await;
    }
    stage.retain(3).await;
    expected.sort_unstable_by(|a, b| b.cmp(a));
    for filter in [Filter::default(), Filter { state: Some(StateFilter::Unsettled), ..Filter::default() }] {
        for limit in [3, 100] {
            let listed = stage.list(&Default::default(), &filter, limit).await;
            assert_eq!(listed.iter().map(JobRecord::id).collect::<Vec<_>>(), expected, "{filter:?}");
        }
    }
    let last = expected[2];
    stage.ledger.cancel(&Default::default(), &expected[3..], stage.begun).await.expect("jobs are cancelled");
    let cancelled = Filter { state: Some(StateFilter::Final(FinalState::Cancelled)), ..Filter::default() };
    assert_eq!(stage.listed(&cancelled).await, expected[3..]);
    let mut unsettled = stage.unsettled_ids().await;
    unsettled.reverse();
    assert_eq!(unsettled, expected[..3]);
    assert_eq!(stage.unsettled(None, last.before(), 100).await.len(), 0);
}

pub async fn follow_ups_of_what_outlives_its_day_are_accepted(stage: Stage) {
    let (job, _) = outlived(&stage).await;
    let follow_up = stage.job();
    let record = Record { follow_ups: vec![follow_up.clone()], ..stage.success(&job, 3) };
    let recorded = stage.ledger.record(&[record], stage.me).await.expect("the record is written");
    assert!(recorded.records == [Recorded::Committed] && recorded.receipt.is_some());
    assert_eq!(stage.unsettled_ids().await, [follow_up.id]);
}

pub async fn a_key_of_what_outlives_its_day_is_replayed(stage: Stage) {
    let job = stage.job_ago(days_long(10));
    let batch = [keyed(job.clone(), "order", 1), plain(stage.job_ago(days_long(10)))];
    stage.ledger.accept(&batch, stage.me, &[]).await.expect("the jobs are accepted");
    stage.retain(3).await;
    let replay = stage.ledger.accept(&[keyed(stage.job(), "order", 1)], stage.me, &[]).await.expect("a replay");
    assert_eq!(replay.jobs, [Accepted::Replayed(job.id)]);
}
