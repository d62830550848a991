//! Firing: a schedule moves on together with its jobs, once, from where the step says, or not at all.

use super::stage::{Stage, job_ids, key, kind, position};
use bytes::Bytes;
use haul_core::{
    Job, JobOptions, Priority, ProcessId, Queue, Tenant,
    ledger::LedgerError,
    limits::KINDS_PER_QUEUE_MAX,
    schedules::{BatchFired, Edit, NewSchedule, Schedule, ScheduleRef, Step, Stepped},
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

pub async fn a_step_moves_its_schedule_and_accepts_its_jobs(stage: Stage) {
    let their = Tenant::new("theirs").expect("a valid tenant");
    let key = ScheduleRef { tenant: their.clone(), ..key("nightly") };
    let schedule = stage.create(&NewSchedule { key, ..stage.new_schedule("nightly") }).await;
    let options =
        JobOptions { tags: BTreeMap::from([("schedule".to_owned(), "nightly".to_owned())]), ..JobOptions::default() };
    let job = Job {
        tenant: their.clone(),
        queue: Queue::new("reports").expect("a valid queue"),
        kind: kind("report"),
        priority: Priority::new(2).expect("a valid priority"),
        run_at: stage.at(90),
        payload: Bytes::from_static(b" {\"a\": 1e400, \"b\": \"\\u0000\"}"),
        options: Arc::new(options),
        ..stage.job()
    };
    let step = Step { jobs: vec![job.clone()], ..stage.step(&schedule, "1") };
    let fired = stage.fire(std::slice::from_ref(&step)).await;
    assert_eq!(fired.steps, [Stepped::Done]);
    assert!(fired.receipt.is_some(), "a batch with a new job has a receipt");
    let expected = Schedule { position: step.moved.to, last_job: Some(job.id), runs: 1, ..schedule.clone() };
    assert_eq!(stage.read(&schedule).await, expected);
    let record = stage.ledger.job(&their, job.id).await.expect("a job is looked up");
    assert_eq!(record.map(|record| record.job), Some(job));
}

pub async fn a_step_with_several_jobs_counts_them_and_remembers_the_last(stage: Stage) {
    let schedule = stage.created("nightly").await;
    let jobs = vec![stage.job(), stage.job(), stage.job()];
    let step = Step { jobs: jobs.clone(), ..stage.step(&schedule, "3") };
    stage.fire(std::slice::from_ref(&step)).await;
    let stored = stage.read(&schedule).await;
    assert_eq!((stored.runs, stored.last_job), (3, Some(jobs[2].id)));
    assert_eq!(stage.jobs().await, job_ids(&[step]));
}

pub async fn a_step_without_jobs_moves_its_schedule_without_a_receipt(stage: Stage) {
    let schedule = stage.created("nightly").await;
    stage.fire(&[stage.step(&schedule, "1")]).await;
    let schedule = stage.read(&schedule).await;
    let step = Step { jobs: Vec::new(), ..stage.step(&schedule, "2") };
    let fired = stage.fire(std::slice::from_ref(&step)).await;
    assert_eq!(fired, BatchFired { steps: vec![Stepped::Done], receipt: None });
    assert_eq!(stage.read(&schedule).await, Schedule { position: step.moved.to, ..schedule });
}

pub async fn a_step_to_the_same_place_puts_off(stage: Stage) {
    let schedule = stage.created("nightly").await;
    let put_off = Step { jobs: Vec::new(), ..stage.step(&schedule, "0") };
    assert_eq!(stage.fire(std::slice::from_ref(&put_off)).await.steps, [Stepped::Done]);
    assert_eq!(stage.due_ids().await, []);
    assert_eq!(stage.read(&schedule).await.position, position("0", Some(stage.at(3_600))));
    // Another process had read the schedule before that: its step is as good.
    assert_eq!(stage.fire(&[stage.step(&schedule, "1")]).await.steps, [Stepped::Done]);
    assert_eq!(stage.fire(&[put_off]).await.steps, [Stepped::Stale], "and after it nothing is put off");
}

pub async fn a_problem_is_kept_until_the_next_step(stage: Stage) {
    let schedule = stage.created("nightly").await;
    let why = "the zone \"Mars/Olympus\" is unknown; 'quoted' \u{1F600}";
    let problem = Step { jobs: Vec::new(), problem: Some(why.to_owned()), ..stage.step(&schedule, "0") };
    stage.fire(&[problem]).await;
    assert_eq!(stage.read(&schedule).await.problem.as_deref(), Some(why));
    stage.fire(&[stage.step(&schedule, "1")]).await;
    assert_eq!(stage.read(&schedule).await.problem, None);
}

/// Nothing of the step may have been done.
async fn nothing_is_fired(stage: &Stage, step: Step, schedule: &Schedule) {
    let fired = stage.fire(&[step]).await;
    assert_eq!(fired, BatchFired { steps: vec![Stepped::Stale], receipt: None });
    assert_eq!(stage.read(schedule).await, *schedule);
    assert_eq!(stage.jobs().await.len(), 0, "no job is accepted");
}

pub async fn a_step_of_another_version_fires_nothing(stage: Stage) {
    let old = stage.created("nightly").await;
    let step = stage.step(&old, "1");
    let edit = Edit { id: old.id, version: 1, definition: old.definition.clone(), moved: None };
    stage.schedules.edit(&edit).await.expect("an edit is taken");
    let new = stage.read(&old).await;
    nothing_is_fired(&stage, step.clone(), &new).await;
    let resumed = {
        stage.pause(&old, true).await;
        stage.pause(&old, false).await
    };
    nothing_is_fired(&stage, Step { version: 2, ..step }, &resumed).await;
}

pub async fn a_step_from_another_place_fires_nothing(stage: Stage) {
    let schedule = stage.created("nightly").await;
    stage.fire(&[Step { jobs: Vec::new(), ..stage.step(&schedule, "1") }]).await;
    let moved = stage.read(&schedule).await;
    nothing_is_fired(&stage, stage.step(&schedule, "1"), &moved).await;
    let step = stage.step(&Schedule { position: position("2", None), ..schedule }, "3");
    nothing_is_fired(&stage, step, &moved).await;
}

pub async fn a_paused_schedule_fires_nothing(stage: Stage) {
    let schedule = stage.created("nightly").await;
    let paused = stage.pause(&schedule, true).await;
    nothing_is_fired(&stage, stage.step(&schedule, "1"), &paused).await;
    nothing_is_fired(&stage, stage.step(&paused, "1"), &paused).await;
}

pub async fn a_deleted_schedule_fires_nothing_also_when_its_name_is_used_again(stage: Stage) {
    let schedule = stage.created("nightly").await;
    stage.schedules.delete(&schedule.key, None).await.expect("a schedule is deleted");
    assert_eq!(stage.fire(&[stage.step(&schedule, "1")]).await.steps, [Stepped::Stale]);
    let again = stage.created("nightly").await;
    nothing_is_fired(&stage, stage.step(&schedule, "1"), &again).await;
}

pub async fn a_step_sent_again_is_taken_once(stage: Stage) {
    let (a, b) = (stage.created("a").await, stage.created("b").await);
    let steps = [stage.step(&a, "1"), Step { jobs: vec![stage.job(), stage.job()], ..stage.step(&b, "2") }];
    let first = stage.fire(&steps).await;
    assert_eq!(first.steps, [Stepped::Done, Stepped::Done]);
    assert_eq!(stage.fire(&steps).await, first, "it is answered as if it were the first time");
    assert_eq!((stage.read(&a).await.runs, stage.read(&b).await.runs), (1, 2));
    assert_eq!(stage.jobs().await, job_ids(&steps));
}

pub async fn in_a_batch_only_the_jobs_of_steps_that_were_taken_are_accepted(stage: Stage) {
    let mut steps = Vec::new();
    for n in 0..6 {
        let schedule = stage.created(&format!("s{n}")).await;
        let step = stage.step(&schedule, "1");
        if n % 2 == 0 {
            stage.pause(&schedule, true).await;
        }
        steps.push(step);
    }
    let fired = stage.fire(&steps).await;
    let (done, stale) = (Stepped::Done, Stepped::Stale);
    assert_eq!(fired.steps, [stale, done, stale, done, stale, done]);
    let taken = job_ids(&[steps[1].clone(), steps[3].clone(), steps[5].clone()]);
    assert_eq!(stage.jobs().await, taken);
}

pub async fn an_empty_batch_of_steps_is_answered(stage: Stage) {
    assert_eq!(stage.fire(&[]).await, BatchFired { steps: vec![], receipt: None });
}

pub async fn a_thousand_steps_are_taken_at_once(stage: Stage) {
    let stage = Arc::new(stage);
    let creators = (0..10).map(|part| {
        let stage = stage.clone();
        async move {
            let mut created = Vec::new();
            for n in 0..100 {
                created.push(stage.created(&format!("s-{part}-{n}")).await);
            }
            created
        }
    });
    let schedules = crate::at_once(creators).await.concat();
    let steps: Vec<Step> = schedules.iter().map(|schedule| stage.step(schedule, "1")).collect();
    let fired = stage.fire(&steps).await;
    assert!(fired.steps.iter().all(|step| *step == Stepped::Done));
    assert_eq!(stage.jobs().await, job_ids(&steps));
    assert_eq!(stage.due_ids().await, []);
}

pub async fn the_receipt_covers_the_jobs_of_a_batch(stage: Stage) {
    let (a, b) = (stage.created("a").await, stage.created("b").await);
    let steps = [stage.step(&b, "1"), stage.step(&a, "1")];
    let fired = stage.fire(&steps).await;
    assert_eq!(stage.ledger.take_receipts(stage.me, 10).await.expect("receipts are taken"), []);
    let receipt = fired.receipt.expect("new jobs have a receipt");
    stage.ledger.release_receipts(&[receipt]).await.expect("a receipt is released");
    let taken = stage.ledger.take_receipts(stage.me, 10).await.expect("receipts are taken");
    let jobs = job_ids(&steps);
    let ranges: Vec<_> = taken.iter().map(|taken| (taken.id, Some(&taken.first), Some(&taken.last))).collect();
    assert_eq!(ranges, [(receipt, jobs.first(), jobs.last())]);
}

pub async fn receipts_named_as_done_go_with_a_batch(stage: Stage) {
    let (a, b) = (stage.created("a").await, stage.created("b").await);
    let fire = async |schedule: &Schedule, done: &[_]| {
        let step = stage.step(schedule, "1");
        stage.schedules.fire(&[step], ProcessId::NOBODY, done).await.expect("steps are taken").receipt
    };
    let first = fire(&a, &[]).await.expect("new jobs have a receipt");
    let second = fire(&b, &[first]).await.expect("new jobs have a receipt");
    let taken = stage.ledger.take_receipts(stage.me, 10).await.expect("receipts are taken");
    assert_eq!(taken.iter().map(|taken| taken.id).collect::<Vec<_>>(), [second]);
    stage.schedules.fire(&[], ProcessId::NOBODY, &[second]).await.expect("receipts are dropped");
    stage.ledger.release_receipts(&[second]).await.expect("an unknown receipt is left alone");
    assert_eq!(stage.ledger.take_receipts(stage.me, 10).await.expect("receipts are taken"), []);
}

pub async fn jobs_of_steps_make_their_queue_known(stage: Stage) {
    let (a, b) = (stage.created("a").await, stage.created("b").await);
    let mut steps = [stage.step(&a, "1"), stage.step(&b, "1")];
    steps[0].jobs[0].queue = Queue::new("reports").expect("a valid queue");
    steps[1].jobs[0].queue = Queue::new("never").expect("a valid queue");
    stage.pause(&b, true).await;
    stage.fire(&steps).await;
    let queues = stage.ledger.queues().await.expect("queues are listed");
    let names: Vec<_> = queues.iter().map(|known| (known.queue.queue.as_str(), known.kinds.as_slice())).collect();
    assert_eq!(names, [("reports", [kind("work")].as_slice())], "those of steps that were taken, and no others");
}

pub async fn jobs_beyond_a_limit_leave_every_schedule_where_it_is(stage: Stage) {
    let (a, b) = (stage.created("a").await, stage.created("b").await);
    let too_many = (0..=KINDS_PER_QUEUE_MAX).map(|n| Job { kind: kind(&format!("k{n}")), ..stage.job() });
    let steps = [stage.step(&a, "1"), Step { jobs: too_many.collect(), ..stage.step(&b, "1") }];
    let refused = stage.schedules.fire(&steps, stage.me, &[]).await;
    assert!(matches!(refused, Err(LedgerError::LimitReached(_))), "{refused:?}");
    assert_eq!((stage.read(&a).await, stage.read(&b).await), (a, b));
    assert_eq!(stage.jobs().await.len(), 0);
    stage.ledger.close_minutes().await.expect("the ledger goes on");
    tokio::time::timeout(Duration::from_secs(60), stage.fire(&steps[..1])).await.expect("and so does firing");
}
