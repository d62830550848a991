//! What the tests share: jobs by the thousand, and waiting for what becomes of them.

use haul_testkit::http::{Answer, Client};
pub(crate) use haul_testkit::wait::until;
use serde_json::Value;
use std::{collections::BTreeSet, time::Duration};
use tokio::time::{Instant, sleep};

/// Submits one job and returns its id.
pub(crate) async fn submit(client: &Client, job: Value) -> String {
    let answer = client.post("/v1/jobs", &job).await.expect("an answer");
    assert_eq!(answer.status, 201, "{}", text(&answer));
    answer.json().expect("JSON")["id"].as_str().expect("an id").to_owned()
}

/// Submits jobs through the bulk endpoint; every one must be accepted. Returns their ids.
pub(crate) async fn submit_bulk(client: &Client, jobs: impl IntoIterator<Item = Value>) -> BTreeSet<String> {
    let lines: Vec<String> = jobs.into_iter().map(|job| job.to_string()).collect();
    let request = http::Request::post("/v1/jobs/bulk").header("content-type", "application/x-ndjson");
    let answer = client.send(request, lines.join("\n").into()).await.expect("an answer");
    assert_eq!(answer.status, 200, "{}", text(&answer));
    let ids: BTreeSet<String> = text(&answer)
        .lines()
        .filter_map(|line| {
            serde_json::from_str::<Value>(line).expect("a line of JSON")["id"].as_str().map(str::to_owned)
        })
        .collect();
    assert_eq!(ids.len(), lines.len(), "every job is accepted");
    ids
}

/// The job when it has ended.
pub(crate) async fn outcome(client: &Client, id: &str) -> Value {
    let answer = client.get(&format!("/v1/jobs/{id}?wait=30s")).await.expect("an answer");
    assert_eq!(answer.status, 200, "{}", text(&answer));
    let job = answer.json().expect("JSON");
    assert!(!job["outcome"].is_null(), "it has not ended: {job}");
    job
}

/// The ids of all jobs that the API lists in a state; none twice.
pub(crate) async fn list(client: &Client, state: &str) -> BTreeSet<String> {
    let mut jobs = BTreeSet::new();
    let mut cursor = String::new();
    loop {
        let answer = client.get(&format!("/v1/jobs?state={state}&limit=100{cursor}")).await.expect("an answer");
        assert_eq!(answer.status, 200, "{}", text(&answer));
        let page = answer.json().expect("JSON");
        for job in page["data"].as_array().expect("data") {
            let id = job["id"].as_str().expect("an id").to_owned();
            assert!(jobs.insert(id), "listed twice: {job}");
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return jobs,
        }
    }
}

/// Waits until nothing waits or runs in any queue, by the dispatch's figures.
pub(crate) async fn until_idle(client: &Client, limit: Duration) {
    until("every queue is empty", limit, || async {
        let answer = client.get("/v1/queues").await.ok().filter(|answer| answer.status == 200)?;
        let page = answer.json().ok()?;
        let is_empty = |queue: &Value| ["ready", "delayed", "running"].iter().all(|figure| queue[figure] == 0);
        page["data"].as_array()?.iter().all(is_empty).then_some(())
    })
    .await;
}

/// Waits until exactly these jobs have succeeded; the dispatch may be wrong about what is left, the ledger is not.
pub(crate) async fn until_all_succeeded(client: &Client, ids: &BTreeSet<String>, limit: Duration) {
    let end = Instant::now() + limit;
    until_idle(client, limit).await;
    loop {
        let succeeded = list(client, "succeeded").await;
        if succeeded.is_superset(ids) {
            assert_eq!(succeeded.len(), ids.len(), "no job but these");
            return;
        }
        let left = ids.difference(&succeeded).take(3).collect::<Vec<_>>();
        assert!(Instant::now() < end, "{} of {} have succeeded; not {left:?}", succeeded.len(), ids.len());
        sleep(Duration::from_millis(200)).await;
    }
}

/// A body as text.
pub(crate) fn text(answer: &Answer) -> String {
    String::from_utf8_lossy(&answer.body).into_owned()
}
