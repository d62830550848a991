//! Submit, batch, get, cancel, rerun.

use crate::{
    faults::Fault,
    world::{World, job_id, until},
};
use haul_core::{Ledger, ledger::Entry};
use serde_json::json;
use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};
use tokio::sync::Semaphore;

#[tokio::test]
async fn a_submit_is_committed_when_it_is_answered_and_reaches_the_dispatch() {
    let world = World::new().await;
    let answer = world.post_json("/v1/jobs", &json!({"kind": "echo", "payload": {"a": 1}})).await;
    let job = answer.expect(201);
    let id = job["id"].as_str().unwrap();
    assert_eq!(answer.header("location"), Some(&*format!("/v1/jobs/{id}")));
    assert_eq!((&job["state"], &job["queue"], &job["attempt"]), (&json!("queued"), &json!("default"), &json!(0)));
    let loaded = world.ledger.load(&[job_id(id)]).await.unwrap();
    assert_eq!(loaded[0].job.payload, "{\"a\":1}".as_bytes());
    until("the ticket", async || world.dispatch.enqueued.load(Ordering::Relaxed) == 1).await;
    world.end().await;
}

#[tokio::test]
async fn a_payload_comes_back_byte_for_byte() {
    let world = World::new().await;
    let payload = "{ \"z\" : 1.00e2 ,\"a\": \"\\u0000\\/\\ud83d\\ude00\" , \"n\": 123456789012345678901234567890 }";
    let body = format!("{{\"kind\":\"echo\",\"payload\":{payload}}}");
    let answer = world.send("POST /v1/jobs", &[("content-type", "application/json")], body).await;
    let id = answer.expect(201)["id"].as_str().unwrap().to_owned();
    for answer in [answer, world.get(&format!("/v1/jobs/{id}")).await] {
        assert!(answer.text().contains(&format!("\"payload\":{payload},")), "{}", answer.text());
    }
}

#[tokio::test]
async fn hostile_text_is_only_text() {
    let world = World::new().await;
    for text in ["'; DROP TABLE haul.job; --", "redis.call('FLUSHALL')", "${jndi:x}", "\u{202e}\u{0}", "{{7*7}}"] {
        let id = world.submit(json!({"kind": "echo", "payload": text})).await;
        assert_eq!(world.get(&format!("/v1/jobs/{id}")).await.expect(200)["payload"], text);
    }
    let id = world.submit(json!({"kind": "echo", "payload": 0, "tags": {"'; --": "\"); x"}})).await;
    let page = world.get("/v1/jobs?tag=%27%3B%20--:%22)%3B%20x").await.expect(200);
    assert_eq!(page["data"][0]["id"], id);
}

#[tokio::test]
async fn every_setting_of_a_submit_is_kept() {
    let world = World::new().await;
    let id = world
        .submit(json!({
            "kind": "echo", "payload": null, "queue": "mail", "priority": 0, "delay": "90m", "max_attempts": 3,
            "timeout": "20s", "retry": {"base": "2s", "cap": "1m", "max_age": "1day"}, "tags": {"order": "7"},
            "deadline": "2035-01-01T00:00:00+01:00"
        }))
        .await;
    let job = world.get(&format!("/v1/jobs/{id}")).await.expect(200);
    assert_eq!((&job["state"], &job["priority"], &job["max_attempts"]), (&json!("scheduled"), &json!(0), &json!(3)));
    assert_eq!((&job["timeout"], &job["deadline"]), (&json!("20s"), &json!("2034-12-31T23:00:00.000Z")));
    assert_eq!(job["retry"], json!({"base": "2s", "cap": "1m", "max_age": "1day"}));
    assert_eq!(job["tags"], json!({"order": "7"}));
    let time = |name: &str| job[name].as_str().unwrap().parse::<haul_core::Timestamp>().unwrap();
    assert_eq!(time("run_at").since(time("created_at")), Duration::from_secs(90 * 60));
}

#[tokio::test]
async fn concurrent_submits_share_commits() {
    let world = Arc::new(World::new().await);
    let gate = Arc::new(Semaphore::new(0));
    *world.ledger.accept_gate.lock() = Some(gate.clone());
    let submit = || {
        let world = world.clone();
        tokio::spawn(async move { world.echo().await })
    };
    let mut submits = Vec::new();
    for commits in 1..=2 {
        submits.push(submit());
        until("both commits in flight", async || world.ledger.batches.lock().len() == commits).await;
    }
    submits.extend((0..48).map(|_| submit()));
    // Time for most of them to get in line: were they fewer, there would be more batches, and never as many as jobs.
    tokio::time::sleep(Duration::from_millis(200)).await;
    *world.ledger.accept_gate.lock() = None;
    gate.add_permits(2);
    for submit in submits {
        submit.await.unwrap();
    }
    let batches = world.ledger.batches.lock().clone();
    assert_eq!(batches.iter().sum::<usize>(), 50);
    assert!(batches.len() < 25, "{batches:?}");
}

#[tokio::test]
async fn a_full_intake_answers_503_with_retry_after_and_accepts_nothing_more() {
    let world = Arc::new(World::with(|config| config.api.intake_rows_max = 2).await);
    let gate = Arc::new(Semaphore::new(0));
    *world.ledger.accept_gate.lock() = Some(gate.clone());
    let submits: Vec<_> = (0..2)
        .map(|_| {
            tokio::spawn({
                let world = world.clone();
                async move { world.echo().await }
            })
        })
        .collect();
    until("two jobs under way", async || world.ledger.batches.lock().iter().sum::<usize>() == 2).await;
    let answer = world.post_json("/v1/jobs", &json!({"kind": "late", "payload": 1})).await;
    answer.problem(503, "overloaded");
    assert!(answer.header("retry-after").is_some());
    gate.add_permits(1_000);
    for submit in submits {
        submit.await.unwrap();
    }
    world.echo().await;
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_again_and_the_job_exists_once() {
    let world = World::new().await;
    world.ledger.accept_faults.lock().extend([Fault::AnswerLost, Fault::Unavailable, Fault::AnswerLost]);
    let id = world.echo().await;
    let page = world.get("/v1/jobs").await.expect(200);
    assert_eq!(page["data"].as_array().unwrap().len(), 1);
    assert_eq!(page["data"][0]["id"], id);
    assert_eq!(world.ledger.batches.lock().len(), 4);
}

#[tokio::test]
async fn a_panicking_adapter_fails_its_batch_and_not_the_next() {
    let world = World::new().await;
    world.ledger.accept_faults.lock().push_back(Fault::Panic);
    let answer = world.post_json("/v1/jobs", &json!({"kind": "echo", "payload": 1})).await;
    let problem = answer.problem(500, "internal");
    assert!(!problem.to_string().contains("adapter"), "{problem}");
    world.echo().await;
}

#[tokio::test]
async fn a_bad_row_fails_alone() {
    let world = World::new().await;
    *world.ledger.refused_kind.lock() = Some("poison".into());
    let job = |kind: &str| json!({"kind": kind, "payload": 1});
    let jobs: Vec<_> = (0..40).map(|n| job(if n == 17 { "poison" } else { "echo" })).collect();
    let answer = world.post_json("/v1/jobs/batch", &json!({"jobs": jobs})).await.expect(201);
    let data = answer["data"].as_array().unwrap();
    assert_eq!(data.len(), 40);
    for (n, item) in data.iter().enumerate() {
        assert_eq!(item.get("id").is_some(), n != 17, "{n}: {item}");
    }
    assert_eq!(data[17]["error"]["type"], "/problems/job-refused");
}

#[tokio::test]
async fn a_batch_answers_each_job_in_order() {
    let world = World::new().await;
    let body = json!({"jobs": [
        {"kind": "a", "payload": 1},
        {"kind": "", "payload": 1},
        7,
        {"kind": "b", "payload": 1, "idempotency_key": "k1"},
        {"kind": "b", "payload": 1, "idempotency_key": "k1"},
        {"kind": "c", "payload": 1, "idempotency_key": "k1"},
        {"kind": "d", "payload": 2},
    ]});
    let answer = world.post_json("/v1/jobs/batch", &body).await.expect(201);
    let data = answer["data"].as_array().unwrap();
    let mut kinds = Vec::new();
    for item in data.iter().filter(|item| item.get("id").is_some()) {
        let job = world.get(&format!("/v1/jobs/{}", item["id"].as_str().unwrap())).await.expect(200);
        kinds.push(job["kind"].as_str().unwrap().to_owned());
    }
    assert_eq!(kinds, ["a", "b", "b", "d"]);
    assert_eq!(data[1]["error"]["errors"][0]["pointer"], "/jobs/1/kind");
    assert_eq!(data[2]["error"]["errors"][0]["pointer"], "/jobs/2");
    assert_eq!((&data[3]["id"], &data[4]["replayed"]), (&data[4]["id"], &json!(true)));
    assert_eq!(data[5]["error"]["type"], "/problems/idempotency-key-reused");
}

#[tokio::test]
async fn a_batch_larger_than_a_commit_is_cut_and_answered_in_order() {
    let world = World::with(|config| config.api.commit_rows_max = 100).await;
    let jobs: Vec<_> = (0..1_234).map(|n| json!({"kind": format!("k{}", n % 7), "payload": n})).collect();
    let answer = world.post_json("/v1/jobs/batch", &json!({"jobs": jobs})).await.expect(201);
    assert!(world.ledger.batches.lock().iter().all(|rows| *rows <= 100));
    for n in [0, 99, 100, 777, 1_233] {
        let id = answer["data"][n]["id"].as_str().unwrap();
        assert_eq!(world.get(&format!("/v1/jobs/{id}")).await.expect(200)["payload"], n);
    }
}

#[tokio::test]
async fn waiting_ends_with_the_outcome() {
    let world = Arc::new(World::new().await);
    let id = world.echo().await;
    let waiting = tokio::spawn({
        let (world, id) = (world.clone(), id.clone());
        async move { world.get(&format!("/v1/jobs/{id}?wait=30s")).await.expect(200) }
    });
    until("somebody waits", async || world.ledger.settled_calls.load(Ordering::Relaxed) > 0).await;
    let before = Instant::now();
    world.succeed(&id).await;
    let job = waiting.await.unwrap();
    assert!(before.elapsed() < Duration::from_secs(5));
    assert_eq!((&job["state"], &job["outcome"]["result"]), (&json!("succeeded"), &json!({"ok": true})));
    let at_once = world.get(&format!("/v1/jobs/{id}?wait=60s")).await.expect(200);
    assert_eq!(at_once["outcome"]["state"], "succeeded");
}

#[tokio::test]
async fn all_waiting_clients_share_one_statement_and_nobody_waiting_costs_none() {
    let world = Arc::new(World::new().await);
    world.echo().await;
    assert_eq!(world.ledger.settled_calls.load(Ordering::Relaxed), 0);
    let ids = [world.echo().await, world.echo().await, world.echo().await];
    let begin = Instant::now();
    let clients: Vec<_> = (0..60)
        .map(|n| {
            tokio::spawn({
                let (world, id) = (world.clone(), ids[n % 3].clone());
                async move { world.get(&format!("/v1/jobs/{id}?wait=500ms")).await.expect(200) }
            })
        })
        .collect();
    for client in clients {
        assert_eq!(client.await.unwrap()["outcome"], json!(null));
    }
    let calls = world.ledger.settled_calls.load(Ordering::Relaxed);
    let most = usize::try_from(begin.elapsed().as_millis() / 50).unwrap() + 2;
    assert!((1..=most).contains(&calls), "{calls} statements, at most {most}");
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(world.ledger.settled_calls.load(Ordering::Relaxed) <= calls + 1);
}

#[tokio::test]
async fn a_job_shows_its_failures_and_its_outcome() {
    let world = World::new().await;
    let id = world.echo().await;
    world.fail(&id, "no luck").await;
    let job = world.get(&format!("/v1/jobs/{id}")).await.expect(200);
    assert_eq!((&job["state"], &job["attempt"]), (&json!("retrying"), &json!(1)));
    assert_eq!(job["failures"][0]["error"], json!({"message": "no luck", "detail": null}));
    world.finish(&id, Entry::Dead(haul_core::JobError::new("gone").with_detail("for good"))).await;
    let job = world.get(&format!("/v1/jobs/{id}")).await.expect(200);
    assert_eq!((&job["state"], &job["attempt"]), (&json!("dead"), &json!(2)));
    assert_eq!(job["outcome"]["error"], json!({"message": "gone", "detail": "for good"}));
}

#[tokio::test]
async fn a_running_job_is_running_and_reads_queued_without_the_dispatch() {
    let world = World::new().await;
    let id = world.echo().await;
    assert_eq!(world.claim("default", 1).await, [job_id(&id)]);
    let job = world.get(&format!("/v1/jobs/{id}")).await.expect(200);
    assert_eq!((&job["state"], &job["attempt"]), (&json!("running"), &json!(1)));
    world.dispatch.down.store(true, Ordering::Relaxed);
    let job = world.get(&format!("/v1/jobs/{id}")).await.expect(200);
    assert_eq!(job["state"], "queued");
}

#[tokio::test]
async fn a_job_is_cancelled_once_and_only_before_its_end() {
    let world = World::new().await;
    let id = world.echo().await;
    let job = world.post(&format!("/v1/jobs/{id}/cancel")).await.expect(200);
    assert_eq!((&job["state"], &job["outcome"]["state"]), (&json!("cancelled"), &json!("cancelled")));
    world.post(&format!("/v1/jobs/{id}/cancel")).await.problem(409, "job-ended");
    let id = world.echo().await;
    world.succeed(&id).await;
    world.post(&format!("/v1/jobs/{id}/cancel")).await.problem(409, "job-ended");
    assert_eq!(world.get(&format!("/v1/jobs/{id}")).await.expect(200)["state"], "succeeded");
}

#[tokio::test]
async fn cancelling_works_without_the_dispatch() {
    let world = World::new().await;
    let id = world.echo().await;
    world.dispatch.hangs.store(true, Ordering::Relaxed);
    let before = Instant::now();
    world.post(&format!("/v1/jobs/{id}/cancel")).await.expect(200);
    assert!(before.elapsed() < Duration::from_secs(1));
}

#[tokio::test]
async fn cancelling_by_filter_is_bounded_and_says_what_remains() {
    let world = World::new().await;
    let jobs: Vec<_> = (0..30).map(|n| json!({"kind": "echo", "payload": n, "queue": "mail"})).collect();
    world.post_json("/v1/jobs/batch", &json!({"jobs": jobs})).await.expect(201);
    let other = world.echo().await;
    let mut wish = json!({"queue": "mail", "limit": 20});
    let first = world.post_json("/v1/jobs/cancel", &wish).await.expect(200);
    assert_eq!((&first["cancelled"], &first["has_more"]), (&json!(20), &json!(true)));
    wish["cursor"] = first["next_cursor"].clone();
    let second = world.post_json("/v1/jobs/cancel", &wish).await.expect(200);
    assert_eq!((&second["cancelled"], &second["has_more"]), (&json!(10), &json!(false)));
    assert_eq!(world.get(&format!("/v1/jobs/{other}")).await.expect(200)["state"], "queued");
    for wish in [json!({}), json!({"limit": 5}), json!({"queue": "mail", "state": "dead"}), json!([])] {
        world.post_json("/v1/jobs/cancel", &wish).await.problem(422, "invalid-request");
    }
}

#[tokio::test]
async fn a_rerun_is_a_new_job_that_names_its_origin() {
    let world = World::new().await;
    let id = world
        .submit(json!({"kind": "echo", "payload": {"x": 1}, "queue": "mail", "priority": 1, "tags": {"a": "b"},
            "delay": "1h", "deadline": "2035-01-01T00:00:00Z", "max_attempts": 2}))
        .await;
    world.post(&format!("/v1/jobs/{id}/rerun")).await.problem(409, "job-not-ended");
    world.post(&format!("/v1/jobs/{id}/cancel")).await.expect(200);
    let answer = world.post(&format!("/v1/jobs/{id}/rerun")).await;
    let job = answer.expect(201);
    assert_eq!((&job["origin"], &job["state"]), (&json!(id), &json!("queued")));
    assert_eq!((&job["payload"], &job["queue"], &job["priority"]), (&json!({"x": 1}), &json!("mail"), &json!(1)));
    assert_eq!((&job["tags"], &job["max_attempts"]), (&json!({"a": "b"}), &json!(2)));
    assert_eq!(job["deadline"], json!(null));
    assert_ne!(job["id"], job["origin"]);
    assert_eq!(answer.header("location"), Some(&*format!("/v1/jobs/{}", job["id"].as_str().unwrap())));
}
