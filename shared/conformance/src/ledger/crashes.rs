//! Crashes: failures with a mark. They use up attempts like any other, and are counted apart.

use super::stage::Stage;
use haul_core::{
    Job, Tenant,
    ledger::{Entry, Filter, Recorded},
    outcome::{Failure, JobError},
};
use std::slice;

use Recorded::{Committed, Stale};

impl Stage {
    /// Failed attempts and how many of them were crashes, as a worker is told.
    async fn counts(&self, job: &Job) -> (u32, u32) {
        let loaded = self.ledger.load(&[job.id]).await.expect("a job is loaded");
        (loaded[0].failures, loaded[0].crashes)
    }

    /// Which attempts failed, and whether by a crash, as a reader sees it.
    async fn marks(&self, job: &Job) -> Vec<(u32, bool)> {
        self.read(job).await.failures.iter().map(|failure| (failure.attempt, failure.crashed)).collect()
    }
}

pub async fn a_crash_is_kept_as_a_failure_with_a_mark(stage: Stage) {
    let job = stage.accepted().await;
    let error = JobError::new("killed by signal 6").with_detail("its last lines");
    let retry_at = stage.retry_at(7);
    let record = stage.entry(&job, 1, Entry::Crashed(error.clone(), retry_at));
    assert_eq!(stage.record(slice::from_ref(&record)).await, [Committed]);
    let read = stage.read(&job).await;
    assert_eq!(read.failures, [Failure { attempt: 1, at: record.at, error, retry_at, crashed: true }]);
    assert_eq!((read.failure_count, read.outcome), (1, None));
    let loaded = stage.ledger.load(&[job.id]).await.expect("a job is loaded");
    assert_eq!((loaded[0].failures, loaded[0].crashes, loaded[0].due), (1, 1, retry_at));
    let listed = stage.list(&Tenant::default(), &Filter::default(), 10).await;
    assert!(listed[0].failures[0].crashed, "a list shows it, too");
}

pub async fn crashes_and_failures_of_one_job_mix(stage: Stage) {
    let mut jobs = stage.jobs(2);
    jobs[1].run_at = stage.retry_at(9);
    stage.accept(&jobs).await;
    let [job, other] = [&jobs[0], &jobs[1]];
    assert_eq!(stage.counts(job).await, (0, 0));
    stage.record(&[stage.failure(job, 1), stage.crash(job, 2), stage.failure(other, 1)]).await;
    assert_eq!(stage.counts(job).await, (2, 1));
    stage.record(&[stage.crash(job, 4)]).await;
    stage.record(&[stage.failure(job, 3), stage.failure(job, 5)]).await;
    assert_eq!(stage.counts(job).await, (5, 2));
    assert_eq!(stage.marks(job).await, [(1, false), (2, true), (3, false), (4, true), (5, false)]);
    assert_eq!(stage.counts(other).await, (1, 0), "no crash of another job is counted");
    let listed = stage.list(&Tenant::default(), &Filter::default(), 10).await;
    let latest: Vec<(u32, bool)> = listed.iter().map(|job| (job.failure_count, job.failures[0].crashed)).collect();
    assert_eq!(latest, [(1, false), (5, false)]);
}

pub async fn a_crash_of_an_attempt_is_counted_once(stage: Stage) {
    let job = stage.accepted().await;
    let crash = stage.crash(&job, 1);
    assert_eq!(stage.record(&[crash.clone(), crash.clone()]).await, [Committed, Stale]);
    assert_eq!(stage.record(slice::from_ref(&crash)).await, [Stale], "its answer was lost, so it was sent again");
    assert_eq!(stage.counts(&job).await, (1, 1));
    assert_eq!(stage.record(&[stage.crash(&job, 2)]).await, [Committed]);
    assert_eq!(stage.counts(&job).await, (2, 2));
}

pub async fn of_an_attempts_crash_and_failure_the_first_stays(stage: Stage) {
    let jobs = stage.jobs(4);
    stage.accept(&jobs).await;
    assert_eq!(stage.record(&[stage.failure(&jobs[0], 1), stage.crash(&jobs[1], 1)]).await, [Committed; 2]);
    assert_eq!(stage.record(&[stage.crash(&jobs[0], 1), stage.failure(&jobs[1], 1)]).await, [Stale; 2]);
    let batch =
        [stage.crash(&jobs[3], 1), stage.failure(&jobs[2], 1), stage.crash(&jobs[2], 1), stage.failure(&jobs[3], 1)];
    assert_eq!(stage.record(&batch).await, [Committed, Committed, Stale, Stale]);
    for (job, crashes) in jobs.iter().zip([0, 1, 0, 1]) {
        assert_eq!(stage.counts(job).await, (1, crashes));
    }
}

pub async fn no_crash_is_counted_after_an_outcome(stage: Stage) {
    let jobs = stage.jobs(3);
    stage.accept(&jobs).await;
    stage.succeed(&jobs[..1]).await;
    stage.record(&[stage.death(&jobs[1], 1)]).await;
    stage.ledger.cancel(&Tenant::default(), &[jobs[2].id], stage.begun).await.expect("a job is cancelled");
    for job in &jobs {
        assert_eq!(stage.record(&[stage.crash(job, 1)]).await, [Stale]);
        assert_eq!(stage.counts(job).await, (0, 0));
        assert_eq!(stage.marks(job).await, []);
    }
}

pub async fn crashes_before_the_outcome_stay_counted(stage: Stage) {
    let job = stage.accepted().await;
    let last = [stage.crash(&job, 1), stage.crash(&job, 2), stage.death(&job, 3)];
    assert_eq!(stage.record(&last).await, [Committed; 3]);
    assert_eq!(stage.counts(&job).await, (2, 2));
    assert_eq!(stage.marks(&job).await, [(1, true), (2, true)]);
}
