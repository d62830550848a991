//! Accepting: what was acknowledged is there, once, as it was sent.

use super::stage::{Stage, ids, kind, plain, queue, tenant};
use bytes::Bytes;
use haul_core::{
    Job, JobOptions, Priority, RetryPolicy, Span, Timestamp,
    ledger::{Accepted, BatchAccepted, Loaded},
    limits::{AHEAD_MS_MAX, NAME_CHARS_MAX},
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

pub async fn an_accepted_job_reads_back_as_it_was_sent(stage: Stage) {
    let job = stage.job();
    let accepted = stage.accept(std::slice::from_ref(&job)).await;
    assert_eq!(accepted.jobs, [Accepted::New]);
    assert!(accepted.receipt.is_some(), "a batch with a new job has a receipt");
    let record = stage.read(&job).await;
    assert_eq!(record.job, job);
    assert_eq!((record.failure_count, record.failures, record.outcome), (0, vec![], None));
    let loaded = stage.ledger.load(&[job.id]).await.expect("a job is loaded");
    assert_eq!(loaded, [Loaded { due: job.run_at, job, failures: 0, crashes: 0, outcome: None }]);
}

pub async fn a_batch_sent_again_is_accepted_once(stage: Stage) {
    let jobs = stage.jobs(3);
    let first = stage.accept(&jobs).await;
    let again = stage.accept(&jobs).await;
    assert_eq!(again, first, "the answer is as if it were the first time");
    assert_eq!(stage.unsettled_ids().await, ids(&jobs));
    assert_eq!(stage.listed(&Default::default()).await.len(), 3);
    let receipt = again.receipt.expect("a batch sent again has its receipt");
    stage.ledger.drop_receipts(&[receipt]).await.expect("a receipt is dropped");
    stage.world.age(Duration::from_secs(400)).await;
    assert_eq!(stage.take().await, [], "one batch leaves one receipt, however often it was sent");
}

pub async fn a_batch_sent_again_after_its_jobs_ended_changes_nothing(stage: Stage) {
    let jobs = stage.jobs(2);
    stage.accept(&jobs).await;
    stage.succeed(&jobs[..1]).await;
    assert_eq!(stage.accept(&jobs).await.jobs, [Accepted::New; 2]);
    assert!(stage.read(&jobs[0]).await.outcome.is_some(), "the outcome stays");
    assert_eq!(stage.unsettled_ids().await, ids(&jobs[1..]));
}

pub async fn an_empty_batch_is_accepted_without_a_receipt(stage: Stage) {
    assert_eq!(stage.accept(&[]).await, BatchAccepted { jobs: vec![], receipt: None });
}

pub async fn a_batch_of_five_thousand_is_accepted_whole(stage: Stage) {
    let mut jobs = stage.jobs(5_000);
    // Rows come in any order.
    jobs.reverse();
    let accepted = stage.accept(&jobs).await;
    assert_eq!(accepted.jobs, vec![Accepted::New; 5_000]);
    jobs.reverse();
    assert_eq!(stage.unsettled_ids().await, ids(&jobs));
    let loaded = stage.ledger.load(&ids(&jobs)).await.expect("5,000 jobs are loaded");
    assert_eq!(loaded.len(), 5_000);
}

pub async fn payloads_are_kept_byte_for_byte(stage: Stage) {
    let deep = "[".repeat(10_000) + &"]".repeat(10_000);
    let large = format!("\"{}\"", "é\u{1f980}\\\\".repeat(30_000));
    let payloads = [
        r#"{"nul":"a\u0000b","low":"\u001f"}"#,
        r#"{"lone":"\ud800","reversed":"\udc00\ud800"}"#,
        " {\n\t\"b\" : 1.0 , \"a\" : 1e400, \"a\": -0, \"long\": 0.10000000000000000000000000001 } \r\n",
        "null",
        "\"it's \\\\ $1 ? :name %s '' \\\" -- ; \u{7f}\u{85}\u{2028}\u{feff}\"",
        &deep,
        &large,
    ];
    let with = |payload: &str| Job { payload: Bytes::copy_from_slice(payload.as_bytes()), ..stage.job() };
    let jobs: Vec<Job> = payloads.into_iter().map(with).collect();
    stage.accept(&jobs).await;
    for job in &jobs {
        let read = stage.read(job).await.job.payload;
        let (read_bytes, sent_bytes) = (read.len(), job.payload.len());
        assert!(
            read == job.payload,
            "{sent_bytes} bytes came back as {read_bytes} or other ones: {:.80?}",
            job.payload
        );
    }
    let loaded = stage.ledger.load(&ids(&jobs)).await.expect("jobs are loaded");
    for job in &jobs {
        let same = loaded.iter().any(|loaded| loaded.job == *job);
        assert!(same, "a worker gets other bytes than were sent: {:.80?}", job.payload);
    }
}

pub async fn options_and_extreme_values_survive(stage: Stage) {
    let long = "x".repeat(NAME_CHARS_MAX);
    let far = stage.begun.plus(Duration::from_millis(AHEAD_MS_MAX.unsigned_abs()));
    let options = JobOptions {
        timeout: Span::from_secs(1),
        retry: RetryPolicy { max_attempts: 1_000, base: Span::from_secs(0), ..RetryPolicy::default() },
        deadline: Some(far),
        tags: BTreeMap::from([("nul".to_owned(), "a\u{0}b".to_owned()), ("'\"\\é".to_owned(), String::new())]),
        origin: Some(stage.id()),
        trace: Some(haul_core::TraceContext::fresh()),
    };
    let jobs = [
        Job { priority: Priority::new(0).expect("0 is a priority"), run_at: far, ..stage.job() },
        Job { priority: Priority::new(9).expect("9 is a priority"), run_at: Timestamp::from_ms(0), ..stage.job() },
        Job { tenant: tenant(&long), queue: queue(&long), kind: kind(&long), ..stage.job() },
        Job { options: Arc::new(options), ..stage.job() },
    ];
    stage.accept(&jobs).await;
    for job in &jobs {
        assert_eq!(stage.read(job).await.job, *job);
    }
}

pub async fn the_clock_does_not_run_backwards(stage: Stage) {
    let mut before = stage.begun;
    for _ in 0..20 {
        let now = stage.ledger.now().await.expect("the ledger tells the time");
        assert!(now >= before, "{now} came after {before}");
        before = now;
    }
    let later = stage.ledger.accept(&[plain(stage.job())], stage.me, &[]).await;
    assert!(later.is_ok(), "a job with an id of the ledger's own time is accepted");
}
