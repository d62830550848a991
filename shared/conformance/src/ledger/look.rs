//! Looking up: by id, as a worker needs it and as a reader does.

use super::stage::{Stage, ids, kind, tenant};
use haul_core::{Job, JobId, outcome::FinalState};
use std::{collections::HashMap, slice};

pub async fn load_gives_what_exists_and_nothing_else(stage: Stage) {
    let mut jobs = stage.jobs(4);
    jobs[2].tenant = tenant("theirs");
    stage.accept(&jobs).await;
    let asked = [jobs[3].id, stage.id(), jobs[0].id, jobs[2].id];
    let loaded = stage.ledger.load(&asked).await.expect("jobs are loaded");
    let mut found: Vec<&Job> = loaded.iter().map(|loaded| &loaded.job).collect();
    found.sort_by_key(|job| job.id);
    assert_eq!(found, [&jobs[0], &jobs[2], &jobs[3]]);
    assert_eq!(stage.ledger.load(&[]).await.expect("nothing is loaded"), []);
}

pub async fn load_takes_ten_thousand_ids(stage: Stage) {
    let jobs = stage.jobs(100);
    stage.accept(&jobs).await;
    let mut asked: Vec<JobId> = (0..9_900).map(|_| stage.id()).collect();
    asked.extend(ids(&jobs));
    assert_eq!(stage.ledger.load(&asked).await.expect("10,000 ids are looked up").len(), 100);
    assert_eq!(stage.ledger.settled(&asked).await.expect("10,000 ids are looked up"), []);
}

pub async fn load_tells_failures_due_time_and_outcome(stage: Stage) {
    let mut jobs = stage.jobs(4);
    jobs[0].run_at = stage.retry_at(7);
    stage.accept(&jobs).await;
    let records = [
        stage.failure(&jobs[1], 1),
        stage.failure(&jobs[2], 1),
        stage.failure(&jobs[1], 2),
        stage.success(&jobs[2], 2),
        stage.death(&jobs[3], 1),
    ];
    stage.record(&records).await;
    let loaded = stage.ledger.load(&ids(&jobs)).await.expect("jobs are loaded");
    let loaded: HashMap<JobId, _> =
        loaded.into_iter().map(|loaded| (loaded.job.id, (loaded.failures, loaded.due, loaded.outcome))).collect();
    assert_eq!(loaded[&jobs[0].id], (0, stage.retry_at(7), None));
    assert_eq!(loaded[&jobs[1].id], (2, stage.retry_at(2), None));
    let (failures, _, outcome) = loaded[&jobs[2].id];
    assert_eq!((failures, outcome), (1, Some(FinalState::Succeeded)));
    assert_eq!(loaded[&jobs[3].id].2, Some(FinalState::Dead));
}

pub async fn a_job_of_another_tenant_does_not_exist(stage: Stage) {
    let theirs = Job { tenant: tenant("theirs"), kind: kind("secret"), ..stage.job() };
    stage.accept(slice::from_ref(&theirs)).await;
    let ours = Job { tenant: tenant("ours"), ..theirs.clone() };
    assert_eq!(stage.find(&ours).await, None);
    assert!(stage.find(&theirs).await.is_some());
    let unknown = stage.job();
    assert_eq!(stage.find(&unknown).await, None);
}

pub async fn a_job_reads_with_all_its_failures_in_order(stage: Stage) {
    let job = stage.accepted().await;
    for attempt in [1, 2, 4, 3, 12, 10] {
        stage.record(&[stage.failure(&job, attempt)]).await;
    }
    stage.record(&[stage.success(&job, 13)]).await;
    let read = stage.read(&job).await;
    let attempts: Vec<u32> = read.failures.iter().map(|failure| failure.attempt).collect();
    assert_eq!((read.failure_count, attempts), (6, vec![1, 2, 3, 4, 10, 12]));
    assert_eq!(read.failures[5].retry_at, stage.retry_at(12));
    assert_eq!(read.outcome.map(|outcome| outcome.attempt), Some(13));
}
