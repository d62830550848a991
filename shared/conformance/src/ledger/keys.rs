//! Idempotency keys: requests under one key are one request.

use super::stage::{Stage, ids, keyed, tenant};
use haul_core::{
    Job, JobId,
    ledger::{Accepted, NewJob},
    limits::IDEMPOTENCY_KEY_CHARS_MAX,
};
use std::{sync::Arc, time::Duration};

impl Stage {
    async fn accept_keyed(&self, new: &[NewJob]) -> Vec<Accepted> {
        self.ledger.accept(new, self.me, &[]).await.expect("the jobs are answered").jobs
    }
}

pub async fn the_same_request_under_a_key_is_replayed(stage: Stage) {
    let (first, second) = (stage.job(), stage.job());
    assert_eq!(stage.accept_keyed(&[keyed(first.clone(), "k", 1)]).await, [Accepted::New]);
    assert_eq!(stage.accept_keyed(&[keyed(second.clone(), "k", 1)]).await, [Accepted::Replayed(first.id)]);
    assert_eq!(stage.find(&second).await, None, "a replayed request makes no job");
    assert_eq!(stage.unsettled_ids().await, [first.id]);
}

pub async fn another_request_under_a_key_is_refused(stage: Stage) {
    let (first, second) = (stage.job(), stage.job());
    stage.accept_keyed(&[keyed(first.clone(), "k", 1)]).await;
    assert_eq!(stage.accept_keyed(&[keyed(second.clone(), "k", 2)]).await, [Accepted::KeyReused]);
    assert_eq!(stage.find(&second).await, None, "a refused request makes no job");
    let third = stage.job();
    assert_eq!(stage.accept_keyed(&[keyed(third, "k", 1)]).await, [Accepted::Replayed(first.id)], "the key stays");
}

pub async fn a_keyed_batch_sent_again_is_new_again(stage: Stage) {
    let known = stage.job();
    stage.accept_keyed(&[keyed(known.clone(), "known", 1)]).await;
    let batch = [
        keyed(stage.job(), "a", 1),
        keyed(stage.job(), "known", 1),
        keyed(stage.job(), "known", 2),
        keyed(stage.job(), "b", 2),
    ];
    let first = stage.ledger.accept(&batch, stage.me, &[]).await.expect("the jobs are answered");
    let replayed = Accepted::Replayed(known.id);
    assert_eq!(first.jobs, [Accepted::New, replayed, Accepted::KeyReused, Accepted::New]);
    let again = stage.ledger.accept(&batch, stage.me, &[]).await.expect("the jobs are answered again");
    assert_eq!(again, first, "the answer is as if it were the first time");
    assert_eq!(stage.unsettled_ids().await, [known.id, batch[0].job.id, batch[3].job.id]);
}

pub async fn within_a_batch_the_later_job_is_measured_against_the_earlier(stage: Stage) {
    let jobs = stage.jobs(4);
    let [a, b, c, d] = [&jobs[0], &jobs[1], &jobs[2], &jobs[3]].map(Job::clone);
    // The earlier one in the batch, not the one with the lower id.
    let batch = [keyed(d.clone(), "k", 1), keyed(b, "k", 1), keyed(a, "k", 2), keyed(c.clone(), "other", 2)];
    let answers = stage.accept_keyed(&batch).await;
    assert_eq!(answers, [Accepted::New, Accepted::Replayed(d.id), Accepted::KeyReused, Accepted::New]);
    assert_eq!(stage.unsettled_ids().await, [c.id, d.id]);
    assert_eq!(stage.accept_keyed(&batch).await, answers, "sent again it is answered alike");
}

pub async fn an_expired_key_is_taken_over(stage: Stage) {
    let jobs = stage.jobs(4);
    stage.accept_keyed(&[keyed(jobs[0].clone(), "k", 1)]).await;
    stage.world.age(Duration::from_secs(3_000)).await;
    let replayed = stage.accept_keyed(&[keyed(jobs[1].clone(), "k", 1)]).await;
    assert_eq!(replayed, [Accepted::Replayed(jobs[0].id)], "the key still lives");
    stage.world.age(Duration::from_secs(1_000)).await;
    assert_eq!(stage.accept_keyed(&[keyed(jobs[2].clone(), "k", 2)]).await, [Accepted::New]);
    let answers = stage.accept_keyed(&[keyed(jobs[3].clone(), "k", 2), keyed(jobs[1].clone(), "k", 1)]).await;
    assert_eq!(answers, [Accepted::Replayed(jobs[2].id), Accepted::KeyReused], "the key lives anew, for the new job");
    assert_eq!(stage.unsettled_ids().await, [jobs[0].id, jobs[2].id]);
}

pub async fn a_key_belongs_to_its_tenant(stage: Stage) {
    let ours = stage.job();
    let theirs = Job { tenant: tenant("theirs"), ..stage.job() };
    let batch = [keyed(ours.clone(), "k", 1), keyed(theirs.clone(), "k", 2)];
    assert_eq!(stage.accept_keyed(&batch).await, [Accepted::New; 2]);
    assert_eq!(stage.unsettled_ids().await, ids(&[ours, theirs]));
}

pub async fn keys_are_compared_byte_for_byte(stage: Stage) {
    let long = "x".repeat(IDEMPOTENCY_KEY_CHARS_MAX);
    // Letters in another case, a space at the end, the two ways to write "é", and quotes.
    let keys = ["k", "K", "k ", " k", "\u{e9}", "e\u{301}", "'; --", "\\", "%", "_", &long];
    let batch: Vec<NewJob> = keys.iter().map(|key| keyed(stage.job(), key, 1)).collect();
    assert_eq!(stage.accept_keyed(&batch).await, vec![Accepted::New; keys.len()]);
    let again: Vec<NewJob> = keys.iter().map(|key| keyed(stage.job(), key, 1)).collect();
    let replayed: Vec<Accepted> = batch.iter().map(|new| Accepted::Replayed(new.job.id)).collect();
    assert_eq!(stage.accept_keyed(&again).await, replayed);
}

pub async fn a_thousand_keys_are_answered_at_once(stage: Stage) {
    let batch =
        |request| -> Vec<NewJob> { (0..1_000).map(|n| keyed(stage.job(), &format!("key {n}"), request)).collect() };
    let first = batch(1);
    assert_eq!(stage.accept_keyed(&first).await, vec![Accepted::New; 1_000]);
    assert_eq!(stage.accept_keyed(&batch(2)).await, vec![Accepted::KeyReused; 1_000]);
    let replayed: Vec<Accepted> = first.iter().map(|new| Accepted::Replayed(new.job.id)).collect();
    assert_eq!(stage.accept_keyed(&batch(1)).await, replayed);
}

pub async fn a_key_outlives_its_jobs_end(stage: Stage) {
    let job = stage.job();
    stage.accept_keyed(&[keyed(job.clone(), "k", 1)]).await;
    stage.succeed(std::slice::from_ref(&job)).await;
    assert_eq!(stage.accept_keyed(&[keyed(stage.job(), "k", 1)]).await, [Accepted::Replayed(job.id)]);
}

pub async fn a_replay_alone_has_no_receipt(stage: Stage) {
    stage.accept_keyed(&[keyed(stage.job(), "k", 1)]).await;
    let batch = [keyed(stage.job(), "k", 1), keyed(stage.job(), "k", 2)];
    let answer = stage.ledger.accept(&batch, stage.me, &[]).await.expect("the jobs are answered");
    assert_eq!(answer.receipt, None, "nothing new was accepted");
}

pub async fn one_of_many_concurrent_requests_under_a_key_is_accepted(stage: Stage) {
    let stage = Arc::new(stage);
    for round in 0..10 {
        let requests = (0..12).map(|_| {
            let (stage, new) = (stage.clone(), keyed(stage.job(), &format!("key {round}"), 1));
            async move { (new.job.id, stage.accept_patiently(&[new]).await[0]) }
        });
        let answers: Vec<(JobId, Accepted)> = crate::at_once(requests).await;
        let new = answers.iter().filter(|(_, answer)| *answer == Accepted::New);
        let new: Vec<JobId> = new.map(|(id, _)| *id).collect();
        assert_eq!(new.len(), 1, "one request is accepted: {answers:?}");
        let replayed = answers.iter().filter(|(_, answer)| *answer == Accepted::Replayed(new[0])).count();
        assert_eq!(replayed, 11, "the others are replays of it: {answers:?}");
    }
    assert_eq!(stage.unsettled_ids().await.len(), 10);
}

pub async fn concurrent_batches_with_keys_in_opposite_order_all_get_answers(stage: Stage) {
    let stage = Arc::new(stage);
    for round in 0..10 {
        let batches = (0..4).map(|sender| {
            let mut batch: Vec<NewJob> = (0..20).map(|n| keyed(stage.job(), &format!("{round} {n}"), 1)).collect();
            if sender % 2 == 1 {
                batch.reverse();
            }
            let stage = stage.clone();
            async move { stage.accept_patiently(&batch).await }
        });
        let answers = crate::at_once(batches).await.concat();
        assert_eq!(answers.iter().filter(|answer| **answer == Accepted::New).count(), 20, "each key makes one job");
    }
    assert_eq!(stage.unsettled_ids().await.len(), 200);
}

impl Stage {
    /// Sends a batch until it is answered: a ledger may say that a key is held by another transaction.
    async fn accept_patiently(&self, new: &[NewJob]) -> Vec<Accepted> {
        for _ in 0..1_000 {
            match self.ledger.accept(new, self.me, &[]).await {
                Ok(answer) => return answer.jobs,
                Err(haul_core::ledger::LedgerError::Contended(_)) => {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                Err(error) => panic!("a keyed batch is answered, or told to wait: {error:?}"),
            }
        }
        panic!("a key is held for ever");
    }
}
