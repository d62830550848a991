//! Recording: the first outcome stays, a failure counts once, follow-ups come with the record that stays.

use super::stage::{Stage, ids, kind, queue};
use bytes::Bytes;
use haul_core::{
    Job,
    ledger::{BatchRecorded, Entry, LedgerError, Record, Recorded},
    limits::{FOLLOW_UPS_MAX, KINDS_PER_QUEUE_MAX},
    outcome::{Failure, FinalState, JobError, Outcome},
};
use std::{slice, time::Duration};

use Recorded::{Committed, Stale};

impl Stage {
    async fn record_all(&self, records: &[Record]) -> BatchRecorded {
        self.ledger.record(records, self.me).await.expect("the records are written")
    }
    async fn outcome(&self, job: &Job) -> Option<Outcome> {
        self.read(job).await.outcome
    }
}

pub async fn a_success_is_kept_with_its_result(stage: Stage) {
    let job = stage.accepted().await;
    let result = Some(Bytes::from_static(b"{\"answer\": 42}"));
    let record = stage.entry(&job, 1, Entry::Succeeded(result.clone()));
    assert_eq!(
        stage.record_all(slice::from_ref(&record)).await,
        BatchRecorded { records: vec![Committed], receipt: None }
    );
    let (state, finished_at) = (FinalState::Succeeded, record.at);
    assert_eq!(stage.outcome(&job).await, Some(Outcome { state, attempt: 1, finished_at, result, error: None }));
}

pub async fn a_death_is_kept_with_its_error(stage: Stage) {
    let job = stage.accepted().await;
    let error = JobError::new("no such host").with_detail("first line\n\tsecond line é");
    let record = stage.entry(&job, 3, Entry::Dead(error.clone()));
    assert_eq!(stage.record(slice::from_ref(&record)).await, [Committed]);
    let (state, finished_at) = (FinalState::Dead, record.at);
    let outcome = Outcome { state, attempt: 3, finished_at, result: None, error: Some(error) };
    assert_eq!(stage.outcome(&job).await, Some(outcome));
}

pub async fn the_first_outcome_stays(stage: Stage) {
    let job = stage.accepted().await;
    stage.succeed(slice::from_ref(&job)).await;
    let first = stage.outcome(&job).await;
    assert_eq!(stage.record(&[stage.death(&job, 2)]).await, [Stale]);
    let other = stage.entry(&job, 2, Entry::Succeeded(Some(Bytes::from_static(b"2"))));
    assert_eq!(stage.record(&[other]).await, [Stale]);
    assert_eq!(stage.outcome(&job).await, first);
}

pub async fn a_failure_is_kept_and_moves_the_due_time(stage: Stage) {
    let job = stage.accepted().await;
    let error = JobError::new("timed out").with_detail("");
    let retry_at = stage.begun.plus(Duration::from_secs(77));
    let record = stage.entry(&job, 1, Entry::Failed(error.clone(), retry_at));
    assert_eq!(stage.record(slice::from_ref(&record)).await, [Committed]);
    let read = stage.read(&job).await;
    assert_eq!(read.failures, [Failure { attempt: 1, at: record.at, error, retry_at, crashed: false }]);
    assert_eq!((read.failure_count, read.outcome), (1, None));
    let loaded = stage.ledger.load(&[job.id]).await.expect("a job is loaded");
    assert_eq!((loaded[0].failures, loaded[0].due, loaded[0].outcome), (1, retry_at, None));
}

pub async fn a_failure_is_written_once_per_attempt(stage: Stage) {
    let job = stage.accepted().await;
    assert_eq!(stage.record(&[stage.failure(&job, 1)]).await, [Committed]);
    let other = stage.entry(&job, 1, Entry::Failed(JobError::new("another"), stage.retry_at(9)));
    assert_eq!(stage.record(&[other]).await, [Stale]);
    assert_eq!(stage.record(&[stage.failure(&job, 2)]).await, [Committed]);
    let read = stage.read(&job).await;
    assert_eq!(read.failure_count, 2);
    assert_eq!(read.failures[0].error, JobError::new("failure 1"), "the first one stays");
}

pub async fn no_failure_is_written_after_an_outcome(stage: Stage) {
    let job = stage.accepted().await;
    stage.succeed(slice::from_ref(&job)).await;
    assert_eq!(stage.record(&[stage.failure(&job, 1)]).await, [Stale]);
    let read = stage.read(&job).await;
    assert_eq!((read.failure_count, read.failures), (0, vec![]));
}

pub async fn in_one_batch_the_earlier_record_of_a_job_wins(stage: Stage) {
    let jobs = stage.jobs(3);
    stage.accept(&jobs).await;
    let records = [
        stage.death(&jobs[2], 1),
        stage.success(&jobs[0], 1),
        stage.failure(&jobs[1], 1),
        stage.death(&jobs[0], 1),
        stage.success(&jobs[2], 1),
        stage.failure(&jobs[2], 1),
        stage.failure(&jobs[1], 1),
    ];
    let answers = stage.record(&records).await;
    assert_eq!(answers, [Committed, Committed, Committed, Stale, Stale, Stale, Stale]);
    let states = stage.ledger.settled(&ids(&jobs)).await.expect("outcomes are looked up");
    assert_eq!(states.len(), 2);
    assert!(states.contains(&(jobs[0].id, FinalState::Succeeded)) && states.contains(&(jobs[2].id, FinalState::Dead)));
    assert_eq!(stage.read(&jobs[2]).await.failure_count, 0);
}

pub async fn a_failure_and_a_later_outcome_in_one_batch_both_stay(stage: Stage) {
    let job = stage.accepted().await;
    let records = [stage.failure(&job, 1), stage.success(&job, 2)];
    // "Stale" would tell the worker that the job has an outcome: then its ticket goes for good.
    assert_eq!(stage.record(&records).await, [Committed, Committed]);
    let read = stage.read(&job).await;
    assert_eq!((read.failure_count, read.outcome.map(|outcome| outcome.attempt)), (1, Some(2)));
}

pub async fn the_latest_failure_decides_when_a_job_is_due(stage: Stage) {
    let job = stage.accepted().await;
    let second = stage.entry(&job, 2, Entry::Failed(JobError::new("again"), stage.retry_at(1)));
    stage.record(&[stage.failure(&job, 5)]).await;
    stage.record(&[second]).await;
    let loaded = stage.ledger.load(&[job.id]).await.expect("a job is loaded");
    assert_eq!((loaded[0].failures, loaded[0].due), (2, stage.retry_at(5)));
}

pub async fn an_empty_batch_of_records_is_answered(stage: Stage) {
    assert_eq!(stage.record_all(&[]).await, BatchRecorded { records: vec![], receipt: None });
}

pub async fn five_thousand_records_are_written_at_once(stage: Stage) {
    let jobs = stage.jobs(5_000);
    stage.accept(&jobs).await;
    let record = |(n, job): (usize, &Job)| match n % 3 {
        0 => stage.failure(job, 1),
        1 => stage.success(job, 1),
        _ => stage.death(job, 1),
    };
    let records: Vec<Record> = jobs.iter().enumerate().map(record).rev().collect();
    assert_eq!(stage.record(&records).await, vec![Committed; 5_000]);
    assert_eq!(stage.record(&records).await, vec![Stale; 5_000]);
    let settled = stage.ledger.settled(&ids(&jobs)).await.expect("outcomes are looked up");
    assert_eq!(settled.len(), 3_333);
    assert_eq!(stage.unsettled_ids().await.len(), 1_667);
}

pub async fn follow_ups_come_with_the_record_that_stays(stage: Stage) {
    let jobs = stage.jobs(3);
    stage.accept(&jobs).await;
    let ups = stage.jobs(4);
    let with = |record: Record, ups: &[Job]| Record { follow_ups: ups.to_vec(), ..record };
    let records = [
        with(stage.success(&jobs[0], 1), &ups[2..]),
        with(stage.failure(&jobs[1], 1), &ups[..1]),
        with(stage.death(&jobs[2], 1), &ups[1..2]),
    ];
    let answer = stage.record_all(&records).await;
    assert_eq!(answer.records, [Committed; 3]);
    let receipt = answer.receipt.expect("follow-ups have a receipt");
    for up in &ups {
        assert_eq!(stage.read(up).await.job, *up);
    }
    stage.ledger.release_receipts(&[receipt]).await.expect("a receipt is released");
    let taken = stage.take().await;
    let range = taken.iter().find(|taken| taken.id == receipt).map(|taken| (taken.first, taken.last));
    assert_eq!(range, Some((ups[0].id, ups[3].id)), "one receipt covers all follow-ups of the batch");
}

pub async fn as_many_follow_ups_as_are_allowed_are_accepted(stage: Stage) {
    let job = stage.accepted().await;
    let ups = stage.jobs(FOLLOW_UPS_MAX);
    stage.record(&[Record { follow_ups: ups.clone(), ..stage.success(&job, 1) }]).await;
    assert_eq!(stage.unsettled_ids().await, ids(&ups));
}

pub async fn follow_ups_beyond_a_limit_leave_nothing_behind(stage: Stage) {
    let job = stage.accepted().await;
    let with = |n: usize| Job { kind: kind(&format!("kind-{n}")), ..stage.job() };
    let record = Record { follow_ups: (0..=KINDS_PER_QUEUE_MAX).map(with).collect(), ..stage.success(&job, 1) };
    let answer = stage.ledger.record(slice::from_ref(&record), stage.me).await;
    assert!(matches!(answer, Err(LedgerError::LimitReached(_))), "the limit was not told: {answer:?}");
    assert_eq!(stage.outcome(&job).await, None, "all or none: the outcome would stand without its follow-ups");
    assert_eq!(stage.unsettled_ids().await, [job.id]);
}

pub async fn follow_ups_make_their_queue_known(stage: Stage) {
    let job = stage.accepted().await;
    let up = Job { queue: queue("next"), kind: kind("later"), ..stage.job() };
    stage.record(&[Record { follow_ups: vec![up.clone()], ..stage.success(&job, 1) }]).await;
    let queues = stage.ledger.queues().await.expect("queues are listed");
    let known = queues.iter().find(|known| known.queue == up.queue_ref()).map(|known| known.kinds.clone());
    assert_eq!(known, Some(vec![kind("later")]), "what is not known is not rebuilt");
}

pub async fn follow_ups_of_a_stale_record_are_not_accepted(stage: Stage) {
    let job = stage.accepted().await;
    let (first, late, after, twin) = (stage.job(), stage.job(), stage.job(), stage.job());
    let with = |record: Record, up: &Job| Record { follow_ups: vec![up.clone()], ..record };
    let answer = stage.record_all(&[with(stage.failure(&job, 1), &first), with(stage.failure(&job, 1), &twin)]).await;
    assert_eq!(answer.records, [Committed, Stale]);
    stage.succeed(slice::from_ref(&job)).await;
    let answer = stage.record_all(&[with(stage.failure(&job, 2), &late), with(stage.death(&job, 2), &after)]).await;
    assert_eq!(answer, BatchRecorded { records: vec![Stale, Stale], receipt: None });
    assert!(stage.find(&first).await.is_some());
    for up in [late, after, twin] {
        assert_eq!(stage.find(&up).await, None, "a record that was not written brought a follow-up");
    }
}

pub async fn a_record_sent_again_accepts_its_follow_ups_once(stage: Stage) {
    let job = stage.accepted().await;
    let up = stage.job();
    let record = Record { follow_ups: vec![up.clone()], ..stage.success(&job, 1) };
    stage.record(slice::from_ref(&record)).await;
    stage.record(slice::from_ref(&record)).await;
    assert_eq!(stage.unsettled_ids().await, [up.id]);
}

pub async fn results_are_kept_byte_for_byte(stage: Stage) {
    let results = [r#" {"nul":"\u0000","lone":"\udfff","n":1e400} "#, "null", &format!("\"{}\"", "é".repeat(30_000))];
    let jobs = stage.jobs(results.len());
    stage.accept(&jobs).await;
    let results = results.map(|result| Bytes::copy_from_slice(result.as_bytes()));
    let record = |(job, result): (&Job, &Bytes)| stage.entry(job, 1, Entry::Succeeded(Some(result.clone())));
    let records: Vec<Record> = jobs.iter().zip(&results).map(record).collect();
    stage.record(&records).await;
    for (job, result) in jobs.iter().zip(&results) {
        let read = stage.outcome(job).await.and_then(|outcome| outcome.result);
        assert_eq!(read.as_ref(), Some(result));
    }
}

pub async fn control_characters_in_errors_do_no_harm(stage: Stage) {
    let jobs = stage.jobs(2);
    stage.accept(&jobs).await;
    let bytes = b"a\0b\x1b[31m\xff\xfe end";
    let error = JobError::new(String::from_utf8_lossy(bytes)).with_detail("\0".repeat(20_000));
    let records = [
        stage.entry(&jobs[0], 1, Entry::Failed(error.clone(), stage.retry_at(1))),
        stage.entry(&jobs[1], 1, Entry::Dead(error.clone())),
    ];
    assert_eq!(stage.record(&records).await, [Committed; 2]);
    assert_eq!(stage.read(&jobs[0]).await.failures[0].error, error);
    assert_eq!(stage.outcome(&jobs[1]).await.and_then(|outcome| outcome.error), Some(error));
}
