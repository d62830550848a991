//! Many callers at once: one answer stays, and no deadlock surfaces.

use super::stage::{Stage, ids, plain, queue};
use haul_core::{
    Job, Tenant,
    ledger::{Accepted, Cancelled, NewJob, Record, Recorded},
};
use std::{collections::BTreeSet, sync::Arc, time::Duration};

const HOUR: Duration = Duration::from_secs(3_600);
const ROUNDS: u32 = 10;

/// The same rows, every other time in the opposite order.
fn in_turn<T: Clone>(rows: &[T], caller: usize) -> Vec<T> {
    let mut rows = rows.to_vec();
    if caller % 2 == 1 {
        rows.reverse();
    }
    rows
}

/// Writes for many callers at once; gives each one's answers in the order of the rows.
async fn record_at_once(stage: &Stage, callers: usize, records: impl Fn(usize) -> Vec<Record>) -> Vec<Vec<Recorded>> {
    let calls = (0..callers).map(|caller| {
        let (ledger, me, records) = (stage.world.ledger(), stage.me, in_turn(&records(caller), caller));
        async move {
            let mut answers = ledger.record(&records, me).await.expect("no deadlock surfaces").records;
            if caller % 2 == 1 {
                answers.reverse();
            }
            answers
        }
    });
    crate::at_once(calls).await
}

pub async fn one_of_many_concurrent_outcomes_stays(stage: Stage) {
    for _ in 0..ROUNDS {
        let job = stage.accepted().await;
        let record = |caller: usize| match caller % 2 {
            0 => vec![stage.success(&job, caller as u32 + 1)],
            _ => vec![stage.death(&job, caller as u32 + 1)],
        };
        let answers = record_at_once(&stage, 8, record).await.concat();
        let committed = answers.iter().enumerate().filter(|(_, answer)| **answer == Recorded::Committed);
        let committed: Vec<u32> = committed.map(|(caller, _)| caller as u32 + 1).collect();
        let stored = stage.read(&job).await.outcome.map(|outcome| outcome.attempt);
        assert_eq!(committed, Vec::from_iter(stored), "exactly the one that was told so has committed");
    }
}

pub async fn one_of_many_concurrent_failures_of_an_attempt_stays(stage: Stage) {
    for _ in 0..ROUNDS {
        let job = stage.accepted().await;
        let answers = record_at_once(&stage, 8, |_| vec![stage.failure(&job, 1)]).await.concat();
        assert_eq!(answers.iter().filter(|answer| **answer == Recorded::Committed).count(), 1);
        assert_eq!(stage.read(&job).await.failure_count, 1);
    }
}

pub async fn one_of_many_concurrent_crashes_of_an_attempt_stays(stage: Stage) {
    for _ in 0..ROUNDS {
        let job = stage.accepted().await;
        // Two parents may both have run it: a lease says who may, not who did.
        let record = |caller: usize| match caller % 4 {
            0 => vec![stage.failure(&job, 1)],
            _ => vec![stage.crash(&job, 1)],
        };
        let answers = record_at_once(&stage, 8, record).await.concat();
        let committed = answers.iter().enumerate().filter(|(_, answer)| **answer == Recorded::Committed);
        let committed: Vec<bool> = committed.map(|(caller, _)| caller % 4 != 0).collect();
        let loaded = stage.ledger.load(&[job.id]).await.expect("a job is loaded");
        assert_eq!(committed, [loaded[0].crashes == 1], "exactly the one that was told so has committed");
        assert_eq!(loaded[0].failures, 1);
    }
}

pub async fn the_same_batch_sent_by_many_at_once_is_accepted_once(stage: Stage) {
    for _ in 0..ROUNDS {
        let batch: Vec<NewJob> = stage.jobs(100).into_iter().map(plain).collect();
        let calls = (0..6).map(|caller| {
            let (ledger, me, batch) = (stage.world.ledger(), stage.me, in_turn(&batch, caller));
            async move { ledger.accept(&batch, me, &[]).await.expect("no deadlock surfaces").jobs }
        });
        assert!(crate::at_once(calls).await.concat().iter().all(|answer| *answer == Accepted::New));
    }
    assert_eq!(stage.unsettled_ids().await.len(), 100 * ROUNDS as usize);
}

pub async fn records_in_opposite_order_do_not_deadlock(stage: Stage) {
    for _ in 0..ROUNDS {
        let jobs = stage.jobs(200);
        stage.accept(&jobs).await;
        let records = |_| {
            let record = |(n, job): (usize, &Job)| match n % 2 {
                0 => stage.success(job, 1),
                _ => stage.failure(job, 1),
            };
            jobs.iter().enumerate().map(record).collect()
        };
        let answers = record_at_once(&stage, 4, records).await;
        for n in 0..jobs.len() {
            let committed = answers.iter().filter(|answers| answers[n] == Recorded::Committed).count();
            assert_eq!(committed, 1, "each record is committed by one caller");
        }
    }
}

pub async fn accepts_of_new_queues_in_opposite_order_do_not_deadlock(stage: Stage) {
    for round in 0..ROUNDS {
        let calls = (0..6).map(|caller| {
            let job = |n| plain(Job { queue: queue(&format!("queue-{round}-{n}")), ..stage.job() });
            let batch: Vec<NewJob> = in_turn(&(0..50).collect::<Vec<_>>(), caller).into_iter().map(job).collect();
            let (ledger, me) = (stage.world.ledger(), stage.me);
            async move { ledger.accept(&batch, me, &[]).await.expect("no deadlock surfaces").jobs.len() }
        });
        crate::at_once(calls).await;
    }
    let queues = stage.ledger.queues().await.expect("queues are listed");
    let names: BTreeSet<_> = queues.iter().map(|known| &known.queue).collect();
    assert_eq!((queues.len(), names.len()), (50 * ROUNDS as usize, 50 * ROUNDS as usize));
}

pub async fn cancels_and_outcomes_at_once_leave_one_outcome(stage: Stage) {
    for round in 0..ROUNDS {
        let jobs = stage.jobs(50);
        stage.accept(&jobs).await;
        let cancel = {
            let (ledger, ids, at) = (stage.world.ledger(), ids(&jobs), stage.begun);
            async move { ledger.cancel(&Tenant::default(), &ids, at).await.expect("no deadlock surfaces") }
        };
        let record = {
            let (ledger, me) = (stage.world.ledger(), stage.me);
            let records: Vec<Record> = jobs.iter().rev().map(|job| stage.success(job, 1)).collect();
            async move { ledger.record(&records, me).await.expect("no deadlock surfaces").records }
        };
        // Each goes first in turn.
        let (cancelled, recorded) = if round % 2 == 0 {
            tokio::join!(tokio::spawn(cancel), tokio::spawn(record))
        } else {
            let (recorded, cancelled) = tokio::join!(tokio::spawn(record), tokio::spawn(cancel));
            (cancelled, recorded)
        };
        let (cancelled, mut recorded) = (cancelled.expect("cancels end"), recorded.expect("records end"));
        recorded.reverse();
        for ((job, cancelled), recorded) in jobs.iter().zip(cancelled).zip(recorded) {
            let by_cancel = cancelled == Cancelled::Now;
            assert_ne!(by_cancel, recorded == Recorded::Committed, "one of the two ends the job {}", job.id);
            let state = stage.read(job).await.outcome.map(|outcome| outcome.state.as_str());
            assert_eq!(state, Some(if by_cancel { "cancelled" } else { "succeeded" }));
        }
    }
}

pub async fn closing_minutes_beside_writers_loses_no_job(stage: Stage) {
    let stage = Arc::new(stage);
    let closer = {
        let stage = stage.clone();
        tokio::spawn(async move {
            loop {
                stage.ledger.close_minutes().await.expect("no deadlock surfaces");
                tokio::task::yield_now().await;
            }
        })
    };
    let writers = (0..3_u32).map(|writer| {
        let stage = stage.clone();
        async move {
            let mut open = Vec::new();
            for round in 0..20_u32 {
                let ago = 4 * HOUR + Duration::from_secs(u64::from(round % 5) * 60);
                let jobs: Vec<Job> = (0..10).map(|_| stage.job_ago(ago)).collect();
                stage.accept(&jobs).await;
                // What was committed into a minute this old may find it closed: repair reopens before it reads.
                let (first, last) = (jobs[0].id, jobs[9].id);
                stage.ledger.reopen(first, last).await.expect("no deadlock surfaces");
                let keep = (round + writer) as usize % 10;
                stage.succeed(&[&jobs[..keep], &jobs[keep + 1..]].concat()).await;
                open.push(jobs[keep].id);
            }
            open
        }
    });
    let mut open = crate::at_once(writers).await.concat();
    closer.abort();
    let ended = closer.await.expect_err("it closes minutes for as long as it may");
    assert!(ended.is_cancelled(), "closing minutes failed beside writers");
    stage.close_all_minutes().await;
    open.sort();
    assert_eq!(stage.unsettled_ids().await, open);
}
