//! What the tests share: jobs, what became of them, and processes that a supervisor keeps up.

pub(crate) use haul_testkit::wait::until;
use haul_testkit::{http::Client, process::Haul};
use serde_json::{Value, json};
use std::{fs, time::Duration};
use tokio::time::sleep;

/// A job of a kind, tried again soon.
pub(crate) fn job(kind: &str, payload: Value) -> Value {
    json!({ "kind": kind, "payload": payload, "retry": { "base": "100ms", "cap": "500ms" } })
}

/// Submits jobs in one request and returns their ids.
pub(crate) async fn submit(client: &Client, jobs: Vec<Value>) -> Vec<String> {
    let answer = client.post("/v1/jobs/batch", &json!({ "jobs": jobs })).await.expect("an answer");
    assert_eq!(answer.status, 201, "{answer:?}");
    let answer = answer.json().expect("JSON");
    let items = answer["data"].as_array().expect("items");
    items.iter().map(|item| item["id"].as_str().expect("an id").to_owned()).collect()
}

/// The job as it is now. `None` while nobody answers.
pub(crate) async fn look(client: &Client, id: &str) -> Option<Value> {
    client.get(&format!("/v1/jobs/{id}")).await.ok().filter(|answer| answer.status == 200)?.json().ok()
}

/// The job when it has ended.
pub(crate) async fn ended(client: &Client, id: &str, limit: Duration) -> Value {
    until("it has ended", limit, || async { look(client, id).await.filter(|job| !job["outcome"].is_null()) }).await
}

/// `kill -9`, and what comes up again after it.
pub(crate) fn kill_and_restart(process: &mut Haul) {
    // Its end may be reported before the signal is.
    if let Err(error) = process.kill() {
        assert_eq!(process.pid(), None, "{error:#}");
    }
    process.restart().expect("restart");
}

/// Keeps processes up, as a supervisor does, while something else goes on. Says how often one had died.
pub(crate) async fn kept_up<T>(processes: &mut [Haul], while_this: impl Future<Output = T>) -> (T, usize) {
    let mut deaths = 0;
    let keeping = async {
        loop {
            for process in processes.iter_mut() {
                if process.pid().is_none() {
                    deaths += 1;
                    process.restart().expect("restart");
                }
            }
            sleep(Duration::from_millis(100)).await;
        }
    };
    let done = tokio::select! {
        done = while_this => done,
        () = keeping => unreachable!("it never ends"),
    };
    (done, deaths)
}

/// The processes that this one has started for suspects.
pub(crate) fn processes_of(pid: u32) -> Vec<u32> {
    let marker = format!("HAUL_SUSPECTS_OF={pid}");
    let has_it = |pid: &u32| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable == marker.as_bytes())
    };
    let entries = fs::read_dir("/proc").expect("/proc").flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(has_it).collect()
}
