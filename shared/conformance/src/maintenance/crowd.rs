//! Retention beside everything else.

use super::{
    Stage,
    stage::{days_long, retain},
};
use crate::at_once;
use futures::future::BoxFuture;
use haul_core::{
    Job, JobId,
    ledger::{Cancelled, Filter, Ledger, Recorded},
};
use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// Jobs of several old days, some of which have ended.
async fn old_jobs(stage: &Stage, days: std::ops::Range<u32>, per_day: usize) -> Vec<Job> {
    let mut jobs = Vec::new();
    for days in days {
        jobs.extend((0..per_day).map(|_| stage.job_ago(days_long(days))));
        stage.ended_ago(days).await;
    }
    stage.accept(&jobs).await;
    jobs
}

pub async fn outcomes_recorded_while_days_are_closed_are_neither_lost_nor_doubled(stage: Stage) {
    let jobs = old_jobs(&stage, 4..12, 12).await;
    let mut tasks: Vec<BoxFuture<'static, Vec<(JobId, bool)>>> = Vec::new();
    for shift in 0..3 {
        // Each meets the others from another side.
        let mut jobs = jobs.clone();
        let third = jobs.len() / 3;
        jobs.rotate_left(shift * third);
        let (ledger, me, begun) = (stage.ledger.clone(), stage.me, stage.begun);
        let records: Vec<_> =
            jobs.iter().map(|job| (job.clone(), stage.success(job, 1), stage.failure(job, 1))).collect();
        tasks.push(Box::pin(async move {
            let mut won = Vec::new();
            for (job, success, failure) in records {
                let is_mine = if shift == 0 {
                    let cancelled = ledger.cancel(&job.tenant, &[job.id], begun).await.expect("a cancel is answered");
                    assert_ne!(cancelled, [Cancelled::Unknown], "the job is there");
                    cancelled == [Cancelled::Now]
                } else {
                    let recorded = ledger.record(&[failure, success], me).await.expect("records are answered").records;
                    recorded[1] == Recorded::Committed
                };
                won.push((job.id, is_mine));
            }
            won
        }));
    }
    for maintenance in [stage.another(), stage.another()] {
        tasks.push(Box::pin(async move {
            retain(&*maintenance, 2).await;
            Vec::new()
        }));
    }
    let answers: Vec<(JobId, bool)> = at_once(tasks).await.into_iter().flatten().collect();
    stage.retain(2).await;
    for job in &jobs {
        let winners = answers.iter().filter(|(id, is_mine)| *id == job.id && *is_mine).count();
        assert_eq!(winners, 1, "one outcome was committed");
        assert!(stage.read(job).await.outcome.is_some(), "and it is there");
    }
    assert_eq!(stage.unsettled_ids().await, []);
}

/// Looks for unfinished jobs in every way there is; each must be seen once.
async fn each_is_seen_once(ledger: &dyn Ledger, ids: &[JobId]) {
    let expected: BTreeSet<JobId> = ids.iter().copied().collect();
    let loaded = ledger.load(ids).await.expect("jobs are loaded");
    assert!(loaded.iter().all(|loaded| loaded.outcome.is_none()));
    assert_eq!(loaded.iter().map(|loaded| loaded.job.id).collect::<BTreeSet<_>>(), expected);
    let (mut unsettled, mut after) = (Vec::new(), None);
    loop {
        let page = ledger.unsettled(after, None, 7).await.expect("unsettled jobs are read");
        unsettled.extend(page.jobs.into_iter().map(|job| job.id));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(unsettled.len(), expected.len(), "each once");
    let (mut listed, mut before) = (Vec::new(), None);
    loop {
        let page = ledger.list(&Default::default(), &Filter::default(), before, 7).await;
        let page = page.expect("jobs are listed");
        listed.extend(page.jobs.into_iter().map(|job| job.id()).filter(|id| expected.contains(id)));
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    assert_eq!(listed.len(), expected.len(), "each once");
}

pub async fn jobs_are_seen_at_every_moment_while_their_day_is_closed_and_dropped(stage: Stage) {
    let jobs = old_jobs(&stage, 4..12, 6).await;
    let ids: Vec<JobId> = jobs.iter().map(|job| job.id).collect();
    let is_over = Arc::new(AtomicBool::new(false));
    let mut tasks: Vec<BoxFuture<'static, ()>> = Vec::new();
    let (over, maintenance) = (is_over.clone(), stage.another());
    tasks.push(Box::pin(async move {
        retain(&*maintenance, 2).await;
        over.store(true, Ordering::Release);
    }));
    for _ in 0..2 {
        let (over, ledger, ids) = (is_over.clone(), stage.ledger.clone(), ids.clone());
        tasks.push(Box::pin(async move {
            while !over.load(Ordering::Acquire) {
                each_is_seen_once(&*ledger, &ids).await;
            }
        }));
    }
    at_once(tasks).await;
    // Retention may have been over before anyone looked.
    each_is_seen_once(&*stage.ledger, &ids).await;
}

pub async fn any_number_of_callers_may_retain_at_once(stage: Stage) {
    let waiting = old_jobs(&stage, 4..12, 3).await;
    let tasks = (0..6).map(|_| stage.another()).map(|maintenance| async move { retain(&*maintenance, 2).await });
    at_once(tasks).await;
    stage.retain(2).await;
    let listed: BTreeSet<JobId> = stage.listed(&Filter::default()).await.into_iter().collect();
    assert_eq!(listed, waiting.iter().map(|job| job.id).collect());
}
