//! `haul up` with nothing installed.

use crate::world::{list, outcome, submit, submit_bulk, until, until_all_succeeded};
use haul_testkit::{
    http::{Reply, Sink},
    process::haul,
};
use serde_json::json;
use std::{process::Command, time::Duration};

const LIMIT: Duration = Duration::from_secs(30);

#[tokio::test]
async fn the_printed_curl_line_submits_a_job_that_is_done() {
    let up = haul(&["up"]).start().await.expect("up");
    let line = up.wait_output("  curl ", LIMIT).expect("the line to paste");
    let pasted = Command::new("sh").args(["-c", &line]).output().expect("sh");
    assert!(pasted.status.success(), "{pasted:?}");
    let job: serde_json::Value = serde_json::from_slice(&pasted.stdout).expect("the API's answer");
    let ended = outcome(&up.client(), job["id"].as_str().expect("an id")).await;
    assert_eq!(ended["state"], "succeeded");
    assert_eq!(ended["outcome"]["result"], json!({ "hello": "world" }));
}

#[tokio::test]
async fn an_http_request_is_performed_and_its_answer_is_the_result() {
    let sink = Sink::start().await.expect("sink");
    sink.respond("/hook", [Reply::status(202).body("taken")]);
    let up = haul(&["up"]).start().await.expect("up");
    let payload = json!({ "method": "POST", "url": sink.url("/hook"), "body": { "order": 7 } });
    let id = submit(&up.client(), json!({ "kind": "http.request", "payload": payload })).await;
    let answer = up.client().get(&format!("/v1/jobs/{id}?wait=10s")).await.expect("an answer");
    let job = answer.json().expect("JSON");
    assert_eq!(job["state"], "succeeded", "{job}");
    assert_eq!(job["outcome"]["result"]["status"], 202);
    assert_eq!(job["outcome"]["result"]["body"], "taken");
    let requests = sink.wait_requests(1, LIMIT).await.expect("requests");
    assert_eq!(requests[0].body, r#"{"order":7}"#);
}

#[tokio::test]
async fn after_kill_9_the_next_up_finishes_every_job_once() {
    const JOBS: usize = 10_000;
    let mut up = haul(&["up"]).start().await.expect("up");
    let client = up.client();
    let ids =
        submit_bulk(&client, (0..JOBS).map(|n| json!({ "kind": "echo", "payload": { "n": n, "sleep": "5ms" } }))).await;
    until("some jobs have succeeded", LIMIT, || async {
        let answer = client.get("/v1/jobs?state=succeeded&limit=100").await.ok()?.json().ok()?;
        (answer["data"].as_array()?.len() == 100).then_some(())
    })
    .await;
    up.kill().expect("kill -9");
    up.restart().expect("restart");
    up.wait_ready().await.expect("ready");
    let left = JOBS - list(&client, "succeeded").await.len();
    assert!(left > 0, "it was killed in the middle");
    until_all_succeeded(&client, &ids, Duration::from_secs(120)).await;
    assert_eq!(list(&client, "dead").await.len() + list(&client, "cancelled").await.len(), 0);
}

#[tokio::test]
async fn a_second_up_on_the_same_data_is_refused_and_says_why() {
    let up = haul(&["up"]).start().await.expect("up");
    let data = up.directory().join("haul-data").display().to_string();
    let second = haul(&["up", "--data", &data, "--listen", "127.0.0.1:0"]).run().expect("a second one");
    assert_eq!(second.code, Some(1), "{second:?}");
    assert!(second.stderr.contains("another Haul is using") && second.stderr.contains(&data), "{}", second.stderr);
    // The first one goes on.
    let id = submit(&up.client(), json!({ "kind": "echo", "payload": 1 })).await;
    assert_eq!(outcome(&up.client(), &id).await["state"], "succeeded");
}

#[tokio::test]
async fn sigterm_lets_running_jobs_end_and_exits_with_0() {
    let mut up = haul(&["up"]).start().await.expect("up");
    let client = up.client();
    let id = submit(&client, json!({ "kind": "echo", "payload": { "sleep": "1s" } })).await;
    until("it runs", LIMIT, || async {
        let job = client.get(&format!("/v1/jobs/{id}")).await.ok()?.json().ok()?;
        (job["state"] == "running").then_some(())
    })
    .await;
    up.signal("TERM").expect("signal");
    assert_eq!(up.wait_exit(LIMIT).expect("exit").code, 0);
    up.restart().expect("restart");
    up.wait_ready().await.expect("ready");
    let job = client.get(&format!("/v1/jobs/{id}")).await.expect("an answer").json().expect("JSON");
    assert_eq!((&job["state"], &job["attempt"]), (&json!("succeeded"), &json!(1)), "{job}");
}

#[tokio::test]
async fn a_second_signal_does_not_wait() {
    let mut up = haul(&["up"]).start().await.expect("up");
    let client = up.client();
    submit(&client, json!({ "kind": "echo", "payload": { "sleep": "60s" } })).await;
    until("it runs", LIMIT, || async {
        let queues = client.get("/v1/queues").await.ok()?.json().ok()?;
        (queues["data"][0]["running"] == 1).then_some(())
    })
    .await;
    up.signal("INT").expect("signal");
    up.wait_output("a second signal", LIMIT).expect("it says that it drains");
    up.signal("TERM").expect("signal");
    assert_eq!(up.wait_exit(Duration::from_secs(5)).expect("exit").code, 5);
}

#[tokio::test]
async fn jobs_may_call_this_machine_unless_told_otherwise_and_never_its_cloud() {
    let up = haul(&["up"]).start().await.expect("up");
    let call = |url: String| json!({ "kind": "http.request", "payload": { "url": url } });
    let id = submit(&up.client(), call(format!("{}/healthz", up.url()))).await;
    assert_eq!(outcome(&up.client(), &id).await["state"], "succeeded");
    let metadata = call("http://169.254.169.254/latest/meta-data/?hush".to_owned());
    let strict = haul(&["up"]).env("HAUL_OUTGOING_ALLOW", "none").start().await.expect("up");
    for (server, job) in [(&up, metadata), (&strict, call("http://0x7f.1/".to_owned()))] {
        let refused = server.client().post("/v1/jobs", &job).await.expect("an answer");
        let problem = refused.json().expect("JSON");
        assert_eq!((refused.status, &problem["errors"][0]["pointer"]), (422, &json!("/payload/url")), "{problem}");
        assert!(!problem.to_string().contains("hush"), "{problem}");
    }
}
