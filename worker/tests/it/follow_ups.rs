//! Jobs that a handler enqueues are accepted with its success, or not at all.

use crate::echo::echoing;
use crate::world::{World, quick};
use haul_core::{JobId, JobOptions, Ledger, Tenant, ledger::Filter};
use haul_worker::{EnqueueError, HandlerError, JobContext, NewJob};
use std::{sync::atomic::Ordering::SeqCst, time::Duration};

async fn split(job: JobContext, (parts, fail): (u32, bool)) -> Result<Vec<JobId>, HandlerError> {
    let mut ids = Vec::new();
    for part in 0..parts {
        ids.push(job.enqueue(NewJob::new("echo", &part).tag("part", part.to_string()))?);
    }
    if fail && job.attempt() == 1 {
        return Err(HandlerError::retry("half way"));
    }
    Ok(ids)
}

async fn all_jobs(world: &World) -> usize {
    world.ledger.list(&Tenant::default(), &Filter::default(), None, 1_000).await.unwrap().jobs.len()
}

#[tokio::test]
async fn follow_ups_are_accepted_with_the_success_and_run() {
    let world = World::new();
    let worker = world.start(echoing(world.builder().handler("split", split)));
    let id = world.submit("split", "[3, false]").await;
    let children: Vec<JobId> = serde_json::from_value(world.succeeded(id).await).unwrap();
    for (part, child) in children.iter().enumerate() {
        assert_eq!(world.succeeded(*child).await, serde_json::json!(part));
        assert_eq!(world.look(*child).await.job.options.tags["part"], part.to_string());
    }
    worker.end().await.unwrap();
    assert_eq!(all_jobs(&world).await, 4);
    assert!(
        world.ledger.inner.take_receipts(haul_core::ProcessId::random(), 10).await.unwrap().len() <= 1,
        "only the submitter's receipt is left"
    );
}

#[tokio::test]
async fn a_failed_attempt_leaves_no_follow_ups_behind() {
    let world = World::new();
    let worker = world.start(echoing(world.builder().handler("split", split)));
    let id = world.submit("split", "[2, true]").await;
    assert_eq!(world.outcome(id).await.attempt, 2);
    worker.end().await.unwrap();
    assert_eq!(all_jobs(&world).await, 3, "the job and the follow-ups of its second attempt");
}

#[tokio::test]
async fn follow_ups_run_once_although_the_commits_answer_was_lost() {
    let world = World::new();
    world.ledger.answers_to_lose.store(1, SeqCst);
    let worker = world.start(echoing(world.builder().handler("split", split)));
    let id = world.submit("split", "[2, false]").await;
    let children: Vec<JobId> = serde_json::from_value(world.succeeded(id).await).unwrap();
    for child in children {
        world.succeeded(child).await;
    }
    worker.end().await.unwrap();
    assert_eq!(all_jobs(&world).await, 3);
}

#[tokio::test]
async fn a_follow_up_says_where_and_when_it_runs() {
    let world = World::new();
    let worker = world.start(world.builder().handler("plan", async |job: JobContext, (): ()| {
        let later = NewJob::new("echo", &1).queue("night").priority(2).delay(Duration::from_secs(3_600));
        Ok(job.enqueue(later.timeout(Duration::from_secs(7)))?)
    }));
    let id = world.submit("plan", "null").await;
    let child: JobId = serde_json::from_value(world.succeeded(id).await).unwrap();
    worker.end().await.unwrap();
    let job = world.look(child).await.job;
    assert_eq!((job.queue.as_str(), job.priority.get()), ("night", 2));
    assert_eq!(job.run_at.since(job.created_at()), Duration::from_secs(3_600));
    assert_eq!(job.options.timeout.as_ms(), 7_000);
    assert_eq!(world.stats("night", &["echo"]).await.delayed, 1);
}

#[tokio::test]
async fn what_no_job_may_be_is_refused_when_it_is_enqueued() {
    let world = World::new();
    let worker = world.start(world.builder().handler("wrong", async |job: JobContext, (): ()| {
        let said = |wrong: NewJob| job.enqueue(wrong).map_err(|error: EnqueueError| error.to_string()).unwrap_err();
        Ok(vec![
            said(NewJob::new("a b", &1)),
            said(NewJob::new("a", &1).queue("")),
            said(NewJob::new("a", &1).priority(10)),
            said(NewJob::new("a", &"x".repeat(300_000))),
            said(NewJob::new("a", &1).timeout(Duration::ZERO)),
        ])
    }));
    let id = world.submit_with("wrong", "null", JobOptions { ..quick(1) }).await;
    let said: Vec<String> = serde_json::from_value(world.succeeded(id).await).unwrap();
    for (said, words) in
        said.iter().zip(["the kind \"a b\"", "the queue \"\"", "priority 10", "300002 bytes", "timeout"])
    {
        assert!(said.contains(words), "{said}");
    }
    worker.end().await.unwrap();
}
