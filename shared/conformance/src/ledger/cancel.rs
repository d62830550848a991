//! Cancelling: an outcome like any other, and only where there is none.

use super::stage::{Stage, ids, tenant};
use haul_core::{
    Job, JobId, Tenant,
    ledger::{Cancelled, Recorded},
    outcome::FinalState,
};
use std::slice;

impl Stage {
    async fn cancel(&self, jobs: &[JobId]) -> Vec<Cancelled> {
        self.ledger.cancel(&Tenant::default(), jobs, self.begun).await.expect("jobs are cancelled")
    }
}

pub async fn a_job_without_an_outcome_is_cancelled(stage: Stage) {
    let jobs = stage.jobs(2);
    stage.accept(&jobs).await;
    stage.record(&[stage.failure(&jobs[1], 1)]).await;
    assert_eq!(stage.cancel(&ids(&jobs)).await, [Cancelled::Now; 2]);
    for job in &jobs {
        let outcome = stage.read(job).await.outcome.expect("a cancelled job has an outcome");
        assert_eq!((outcome.state, outcome.finished_at), (FinalState::Cancelled, stage.begun));
        assert_eq!((outcome.result, outcome.error), (None, None));
    }
    assert_eq!(stage.unsettled_ids().await, []);
    assert_eq!(stage.cancel(&ids(&jobs)).await, [Cancelled::Already(FinalState::Cancelled); 2]);
}

pub async fn a_job_that_ended_is_left_as_it_is(stage: Stage) {
    let jobs = stage.jobs(2);
    stage.accept(&jobs).await;
    stage.record(&[stage.success(&jobs[0], 1), stage.death(&jobs[1], 1)]).await;
    let before = stage.read(&jobs[0]).await;
    let answers = stage.cancel(&ids(&jobs)).await;
    assert_eq!(answers, [FinalState::Succeeded, FinalState::Dead].map(Cancelled::Already));
    assert_eq!(stage.read(&jobs[0]).await, before);
}

pub async fn an_unknown_or_foreign_job_is_not_cancelled(stage: Stage) {
    let theirs = Job { tenant: tenant("theirs"), ..stage.job() };
    stage.accept(slice::from_ref(&theirs)).await;
    assert_eq!(stage.cancel(&[theirs.id, stage.id()]).await, [Cancelled::Unknown; 2]);
    assert_eq!(stage.read(&theirs).await.outcome, None);
    let by_owner = stage.ledger.cancel(&theirs.tenant, &[theirs.id], stage.begun).await;
    assert_eq!(by_owner.expect("jobs are cancelled"), [Cancelled::Now]);
}

pub async fn answers_to_a_cancel_come_in_order(stage: Stage) {
    let jobs = stage.jobs(3);
    stage.accept(&jobs).await;
    stage.succeed(&jobs[1..2]).await;
    let unknown = stage.id_ago(std::time::Duration::from_secs(5));
    let answers = stage.cancel(&[jobs[2].id, unknown, jobs[1].id, jobs[0].id]).await;
    let already = Cancelled::Already(FinalState::Succeeded);
    assert_eq!(answers, [Cancelled::Now, Cancelled::Unknown, already, Cancelled::Now]);
    assert_eq!(stage.cancel(&[]).await, []);
}

pub async fn a_job_named_twice_is_cancelled_once(stage: Stage) {
    let job = stage.accepted().await;
    let answers = stage.cancel(&[job.id, job.id]).await;
    assert_eq!(answers[0], Cancelled::Now);
    // Whether the second asker is told "by this call" or "before" is the same truth.
    assert!(matches!(answers[1..], [Cancelled::Now | Cancelled::Already(FinalState::Cancelled)]), "{answers:?}");
}

pub async fn five_thousand_jobs_are_cancelled_at_once(stage: Stage) {
    let jobs = stage.jobs(5_000);
    stage.accept(&jobs).await;
    stage.succeed(&jobs[..1_000]).await;
    let answers = stage.cancel(&ids(&jobs)).await;
    assert!(answers[..1_000].iter().all(|answer| *answer == Cancelled::Already(FinalState::Succeeded)));
    assert!(answers[1_000..].iter().all(|answer| *answer == Cancelled::Now));
    assert_eq!((answers.len(), stage.unsettled_ids().await.len()), (5_000, 0));
}

pub async fn a_cancelled_job_takes_no_more_records(stage: Stage) {
    let job = stage.accepted().await;
    stage.cancel(&[job.id]).await;
    let records = [stage.success(&job, 1), stage.failure(&job, 1), stage.death(&job, 1)];
    assert_eq!(stage.record(&records).await, [Recorded::Stale; 3]);
    let read = stage.read(&job).await;
    assert_eq!(read.outcome.map(|outcome| outcome.state), Some(FinalState::Cancelled));
    assert_eq!(read.failure_count, 0);
}

pub async fn settled_names_exactly_the_jobs_with_an_outcome(stage: Stage) {
    let mut jobs = stage.jobs(5);
    jobs[3].tenant = tenant("theirs");
    stage.accept(&jobs).await;
    stage.record(&[stage.success(&jobs[0], 1), stage.failure(&jobs[1], 1), stage.death(&jobs[3], 1)]).await;
    stage.cancel(&[jobs[4].id]).await;
    let mut asked = ids(&jobs);
    asked.extend([stage.id(), jobs[0].id]);
    let mut settled = stage.ledger.settled(&asked).await.expect("outcomes are looked up");
    settled.sort();
    settled.dedup();
    let expected =
        [(jobs[0].id, FinalState::Succeeded), (jobs[3].id, FinalState::Dead), (jobs[4].id, FinalState::Cancelled)];
    assert_eq!(settled, expected);
    assert_eq!(stage.ledger.settled(&[]).await.expect("nothing is looked up"), []);
}
