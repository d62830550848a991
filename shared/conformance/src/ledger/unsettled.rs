//! Unsettled jobs and closed minutes: repair reads every job that has no outcome, and no history.

use super::stage::{Stage, ids, ids_of, kind, queue, tenant};
use haul_core::{
    Job, JobId, Priority,
    ledger::{Cancelled, Unsettled},
};
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);

fn ascending(jobs: &[Job]) -> Vec<JobId> {
    let mut ids = ids(jobs);
    ids.sort();
    ids
}

pub async fn unsettled_jobs_come_in_order_of_id(stage: Stage) {
    let mut jobs = stage.jobs(4);
    jobs.extend([stage.job_ago(2 * HOUR), stage.job_ago(MINUTE), stage.job_ago(30 * HOUR)]);
    stage.accept(&jobs).await;
    stage.record(&[stage.success(&jobs[1], 1), stage.death(&jobs[4], 1), stage.failure(&jobs[2], 1)]).await;
    let open = [&jobs[..1], &jobs[2..4], &jobs[5..]].concat();
    assert_eq!(stage.unsettled_ids().await, ascending(&open));
}

pub async fn unsettled_pages_meet_every_job_exactly_once(stage: Stage) {
    let mut jobs = stage.jobs(30);
    jobs.extend((0..90).map(|n| stage.job_ago(MINUTE * (n % 6) * 20)));
    stage.accept(&jobs).await;
    stage.succeed(&jobs[20..40]).await;
    let open = [&jobs[..20], &jobs[40..]].concat();
    for limit in [1, 2, 7, 99, 100, 101, 1_000] {
        assert_eq!(ids_of(stage.unsettled(None, None, limit).await), ascending(&open), "in pages of {limit}");
    }
}

pub async fn a_range_has_an_open_lower_and_a_closed_upper_end(stage: Stage) {
    let jobs = stage.jobs(6);
    stage.accept(&jobs).await;
    let all = ids(&jobs);
    for limit in [1, 100] {
        let range = async |after, last| ids_of(stage.unsettled(after, last, limit).await);
        assert_eq!(range(Some(all[1]), Some(all[4])).await, all[2..5]);
        assert_eq!(range(None, Some(all[2])).await, all[..3]);
        assert_eq!(range(Some(all[3]), None).await, all[4..]);
        assert_eq!(range(Some(all[3]), Some(all[3])).await, []);
        assert_eq!(range(Some(all[5]), None).await, []);
    }
}

pub async fn an_unsettled_job_is_due_when_its_latest_failure_says(stage: Stage) {
    let mut jobs = stage.jobs(3);
    jobs[0].run_at = stage.retry_at(30);
    jobs[0].priority = Priority::new(0).expect("0 is a priority");
    jobs[0].queue = queue("mail");
    jobs[0].kind = kind("send");
    stage.accept(&jobs).await;
    stage.record(&[stage.failure(&jobs[1], 1), stage.failure(&jobs[2], 1)]).await;
    stage.record(&[stage.failure(&jobs[2], 2)]).await;
    let expected = |job: &Job, due| Unsettled {
        id: job.id,
        queue: job.queue_ref(),
        kind: job.kind.clone(),
        priority: job.priority,
        due,
    };
    let dues = [stage.retry_at(30), stage.retry_at(1), stage.retry_at(2)];
    let expected: Vec<Unsettled> = jobs.iter().zip(dues).map(|(job, due)| expected(job, due)).collect();
    assert_eq!(stage.unsettled(None, None, 100).await, expected);
}

pub async fn unsettled_jobs_of_all_tenants_are_read(stage: Stage) {
    let mut jobs = stage.jobs(3);
    jobs[1].tenant = tenant("theirs");
    stage.accept(&jobs).await;
    assert_eq!(stage.unsettled_ids().await, ids(&jobs));
}

pub async fn minutes_in_which_all_is_settled_are_closed(stage: Stage) {
    let jobs = [5, 4, 3].map(|hours| stage.job_ago(hours * HOUR));
    stage.accept(&jobs).await;
    stage.succeed(&jobs).await;
    let closed = stage.close_all_minutes().await;
    assert!(closed >= 3, "three old minutes are all settled, {closed} were closed");
    assert_eq!(stage.unsettled_ids().await, []);
    let fresh = stage.accepted().await;
    assert_eq!(stage.unsettled_ids().await, [fresh.id]);
}

pub async fn closing_never_hides_an_unsettled_job(stage: Stage) {
    // In each minute one job of four stays open, in turn: the first, the second, ..., and in every fifth minute none.
    let (mut jobs, mut open) = (Vec::new(), Vec::new());
    for minute in 0..25_u32 {
        for n in 0..4 {
            let job = stage.job_ago(3 * HOUR + MINUTE * minute);
            if minute % 5 == n {
                open.push(job.clone());
            }
            jobs.push(job);
        }
    }
    stage.accept(&jobs).await;
    let ended: Vec<Job> = jobs.iter().filter(|job| !open.contains(job)).cloned().collect();
    stage.succeed(&ended[..40]).await;
    stage.close_all_minutes().await;
    stage.succeed(&ended[40..]).await;
    stage.record(&[stage.failure(&open[0], 1)]).await;
    stage.close_all_minutes().await;
    assert_eq!(stage.unsettled_ids().await, ascending(&open));
    stage.close_all_minutes().await;
    assert_eq!(ids_of(stage.unsettled(None, None, 3).await), ascending(&open));
    stage.succeed(&open[1..]).await;
    stage.close_all_minutes().await;
    assert_eq!(stage.unsettled_ids().await, [open[0].id]);
}

pub async fn a_minute_that_is_still_young_stays_open(stage: Stage) {
    let done = stage.accepted().await;
    stage.succeed(&[done]).await;
    stage.close_all_minutes().await;
    // A batch of the same minute whose commit took its time.
    let late = stage.accepted().await;
    assert_eq!(stage.unsettled_ids().await, [late.id]);
}

pub async fn a_reopened_minute_is_read_again(stage: Stage) {
    let early = [180, 179, 178].map(|minutes| stage.job_ago(minutes * MINUTE));
    stage.accept(&early).await;
    stage.succeed(&early).await;
    stage.close_all_minutes().await;
    let late = [180, 179, 178].map(|minutes| stage.job_ago(minutes * MINUTE));
    stage.accept(&late).await;
    let (first, last) = (late[0].id, late[2].id);
    stage.ledger.reopen(first, last).await.expect("minutes are reopened");
    let before_first = JobId::floor(first.created_at());
    assert_eq!(ids_of(stage.unsettled(Some(before_first), Some(last), 2).await), ids(&late));
    assert_eq!(stage.unsettled_ids().await, ids(&late));
    stage.close_all_minutes().await;
    assert_eq!(stage.unsettled_ids().await, ids(&late), "what is open is not closed again");
    stage.ledger.reopen(first, last).await.expect("open minutes are reopened again");
}

pub async fn a_reopened_minute_closes_again_when_its_jobs_have_ended(stage: Stage) {
    let early = stage.job_ago(3 * HOUR);
    stage.accept(std::slice::from_ref(&early)).await;
    stage.succeed(&[early]).await;
    stage.close_all_minutes().await;
    let late = stage.job_ago(3 * HOUR);
    stage.accept(std::slice::from_ref(&late)).await;
    stage.ledger.reopen(late.id, late.id).await.expect("a minute is reopened");
    let cancelled = stage.ledger.cancel(&late.tenant, &[late.id], stage.begun).await;
    assert_eq!(cancelled.expect("a job is cancelled"), [Cancelled::Now]);
    assert!(stage.close_all_minutes().await >= 1, "its only open job has ended");
    assert_eq!(stage.unsettled_ids().await, []);
}
