//! `haul destinations`: a destination that fails is seen from outside, and reset.

use crate::world::{outcome, submit, until};
use haul_testkit::{
    http::{Reply, Sink},
    process::{Finished, Haul, haul},
};
use serde_json::{Value, json};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

const LIMIT: Duration = Duration::from_secs(30);

fn run(up: &Haul, arguments: &[&str]) -> Finished {
    haul(arguments).env("HAUL_URL", up.url()).run().expect("it runs")
}

fn done(up: &Haul, arguments: &[&str]) -> String {
    let finished = run(up, arguments);
    assert_eq!(finished.code, Some(0), "{arguments:?}: {finished:?}");
    finished.stdout.trim_end().to_owned()
}

#[tokio::test]
async fn a_destination_that_fails_is_listed_shown_and_reset() {
    let is_ill = Arc::new(AtomicBool::new(true));
    let ill = is_ill.clone();
    let sink = Sink::answering(move |_| Reply::status(if ill.load(Ordering::Relaxed) { 503 } else { 200 }));
    let sink = sink.await.expect("a sink");
    let up = haul(&["up"])
        .env("HAUL_PACE_FAILURES", "2")
        .env("HAUL_PACE_OPEN_BASE", "10m")
        .env("HAUL_PACE_OPEN_CAP", "10m")
        .env("HAUL_JOBS_RETRY_BASE", "10ms")
        .start()
        .await
        .expect("up");
    assert_eq!(done(&up, &["destinations"]), "");
    let job = json!({"kind": "http.request", "payload": {"url": sink.url("/")}});
    submit(&up.client(), job.clone()).await;
    let name = sink.url("");
    let name = name.trim_end_matches('/');
    let listed = until("an open breaker", LIMIT, || async {
        let listed = done(&up, &["destinations", "ls"]);
        listed.contains("open").then_some(listed)
    })
    .await;
    let (head, row) = listed.split_once('\n').expect("two lines");
    assert!(head.starts_with("DESTINATION") && row.starts_with(name) && row.contains("of 32"), "{listed}");

    let shown: Value = serde_json::from_str(&done(&up, &["destinations", "get", name, "--json"])).expect("JSON");
    assert_eq!((&shown["destination"], &shown["breaker"]), (&json!(name), &json!("open")), "{shown}");
    assert!(shown["until"].is_string() && shown["since"].is_string(), "{shown}");
    let shown = done(&up, &["destinations", "get", &sink.url("/whatever?a=b")]);
    assert!(shown.contains("breaker") && shown.contains("until"), "of a URL the destination counts: {shown}");

    is_ill.store(false, Ordering::Relaxed);
    let reset = done(&up, &["destinations", "reset", name]);
    assert!(reset.contains("closed") && !reset.contains("until"), "{reset}");
    let next = submit(&up.client(), job).await;
    assert_eq!(outcome(&up.client(), &next).await["outcome"]["state"], "succeeded", "a newcomer calls at once");

    let unknown = run(&up, &["destinations", "get", "https://nobody.example"]);
    assert!(unknown.code != Some(0) && unknown.stderr.contains("Nothing is known"), "{unknown:?}");
}
