//! Days that are closed and dropped.

use super::{Stage, stage::days_long};
use crate::ledger::{keyed, plain};
use haul_core::{
    Job,
    ledger::{Accepted, Cancelled, Filter, LedgerError, Recorded},
    maintenance::Retained,
};

async fn is_there(stage: &Stage, job: &Job) -> bool {
    let loaded = !stage.ledger.load(&[job.id]).await.expect("jobs are loaded").is_empty();
    assert_eq!(stage.find(job).await.is_some(), loaded, "all look-ups say the same");
    loaded
}

pub async fn a_day_is_dropped_with_all_its_jobs(stage: Stage) {
    let (old, young) = (stage.ended_ago(10).await, stage.ended_ago(0).await);
    let retained = stage.retain(3).await;
    assert!(!is_there(&stage, &old).await && is_there(&stage, &young).await);
    assert!(retained.days_dropped + retained.jobs_deleted > 0 && retained.days_closed > 0, "{retained:?}");
}

pub async fn a_job_that_was_dropped_never_existed(stage: Stage) {
    let old = stage.ended_ago(10).await;
    stage.retain(3).await;
    assert_eq!(stage.find(&old).await, None);
    assert!(stage.ledger.settled(&[old.id]).await.expect("outcomes are read").is_empty());
    assert_eq!(stage.listed(&Filter::default()).await, []);
    assert_eq!(stage.unsettled_ids().await, []);
    let cancelled = stage.ledger.cancel(&old.tenant, &[old.id], stage.begun).await.expect("a cancel is answered");
    assert_eq!(cancelled, [Cancelled::Unknown]);
    assert_eq!(stage.record(&[stage.success(&old, 2), stage.failure(&old, 3)]).await, [Recorded::Stale; 2]);
    let again = stage.ledger.accept(&[plain(old)], stage.me, &[]).await;
    assert!(matches!(again, Err(LedgerError::Refused(_))), "{again:?}");
}

pub async fn young_days_are_left_alone(stage: Stage) {
    let (today, yesterday) = (stage.ended_ago(0).await, stage.ended_ago(1).await);
    stage.retain(1).await;
    assert!(is_there(&stage, &today).await && is_there(&stage, &yesterday).await);
    let late = stage.job_ago(days_long(1));
    stage.accept(&[late]).await;
}

pub async fn days_are_kept_for_as_long_as_asked(stage: Stage) {
    let (older, younger) = (stage.ended_ago(9).await, stage.ended_ago(6).await);
    stage.retain(30).await;
    assert!(is_there(&stage, &older).await && is_there(&stage, &younger).await);
    stage.retain(7).await;
    assert!(!is_there(&stage, &older).await && is_there(&stage, &younger).await);
    assert_eq!(stage.listed(&Filter::default()).await, [younger.id]);
    stage.retain(1).await;
    assert!(!is_there(&stage, &younger).await);
}

pub async fn nothing_new_is_accepted_into_a_closed_day(stage: Stage) {
    stage.ended_ago(10).await;
    stage.retain(30).await;
    // Into a day that holds jobs, and into one that never did.
    for days in [10, 12, 400] {
        let (late, young) = (stage.job_ago(days_long(days)), stage.job());
        let batch = [plain(young.clone()), plain(late.clone())];
        let answer = stage.ledger.accept(&batch, stage.me, &[]).await;
        assert!(matches!(answer, Err(LedgerError::Refused(_))), "{days} days ago: {answer:?}");
        assert_eq!((stage.find(&late).await, stage.find(&young).await), (None, None), "all or none");
        stage.accept(&[young]).await;
    }
}

pub async fn a_batch_sent_again_into_a_closed_day_is_answered_as_before(stage: Stage) {
    let (ended, waiting) = (stage.ended_ago(10).await, stage.accepted_ago(10).await);
    stage.retain(30).await;
    let again = stage.accept(&[ended.clone(), waiting.clone()]).await;
    assert_eq!(again.jobs, [Accepted::New; 2]);
    assert!(stage.read(&ended).await.outcome.is_some() && stage.read(&waiting).await.outcome.is_none());
    assert_eq!(stage.unsettled_ids().await, [waiting.id]);
}

pub async fn a_key_lapses_with_its_job(stage: Stage) {
    let old = stage.job_ago(days_long(10));
    stage.ledger.accept(&[keyed(old.clone(), "order", 1)], stage.me, &[]).await.expect("the job is accepted");
    stage.record(&[stage.early_success(&old)]).await;
    stage.retain(30).await;
    let replay = stage.ledger.accept(&[keyed(stage.job(), "order", 1)], stage.me, &[]).await.expect("a replay");
    assert_eq!(replay.jobs, [Accepted::Replayed(old.id)], "closed is not dropped");
    stage.retain(3).await;
    let new = stage.job();
    let anew = stage.ledger.accept(&[keyed(new.clone(), "order", 2)], stage.me, &[]).await.expect("the key is free");
    assert_eq!(anew.jobs, [Accepted::New]);
    stage.read(&new).await;
}

pub async fn many_days_are_dropped_step_by_step(stage: Stage) {
    let mut jobs: Vec<Job> =
        (5..20).flat_map(|days| (0..20).map(move |_| days)).map(|days| stage.job_ago(days_long(days))).collect();
    jobs.sort_by_key(|job| job.id);
    stage.accept(&jobs).await;
    let records: Vec<_> = jobs.iter().map(|job| stage.early_success(job)).collect();
    stage.record(&records).await;
    stage.retain(3).await;
    assert_eq!(stage.listed(&Filter::default()).await, []);
    assert_eq!(stage.retain(3).await, Retained::default(), "once done, nothing is left to do");
}

pub async fn an_empty_ledger_has_nothing_to_retain(stage: Stage) {
    stage.retain(7).await;
    assert_eq!(stage.retain(7).await, Retained::default());
    stage.accepted().await;
}
